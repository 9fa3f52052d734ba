//! Signatures as the Standard Webhooks specification says (version 1, symmetric): HMAC-SHA256 over
//! `id.timestamp.body`, with a secret that both sides know as `whsec_` and base64.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng;
use sha2::Sha256;

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the specification bounds them.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Bytes of the secrets that we make: as many as the hash has.
const MADE_BYTES: usize = 32;

/// A signing secret. It shows itself to nobody.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads `whsec_…`. The error never repeats what it read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let encoded = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| format!("must begin with {PREFIX}"))?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| format!("must be {PREFIX} and standard base64 with padding"))?;
        if !BYTES.contains(&bytes.len()) {
            return Err(format!(
                "must be {PREFIX} and base64 of {} to {} bytes, not {}",
                BYTES.start(),
                BYTES.end(),
                bytes.len()
            ));
        }
        Ok(Self(bytes))
    }

    /// Makes a new secret, from the operating system's randomness.
    pub fn generate() -> Self {
        let mut bytes = vec![0; MADE_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// As the receiver must know it.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The signature of one message, as it stands in `webhook-signature`. `timestamp` is in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(id.as_bytes());
        mac.update(format!(".{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_signed_alike() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();

        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );

        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_made_secret_is_read_back_and_never_the_same() {
        let made = Secret::generate();

        let read = Secret::parse(&made.to_text()).unwrap();

        assert_eq!(read.0, made.0);
        assert_ne!(Secret::generate().0, made.0);
    }

    #[test]
    fn a_secret_of_another_form_is_refused_without_repeating_it() {
        let bytes = |n: usize| format!("{PREFIX}{}", STANDARD.encode(vec![7; n]));
        for wrong in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*",
            &bytes(23),
            &bytes(65),
        ] {
            let why = Secret::parse(wrong).unwrap_err();
            assert!(!why.contains("MfKQ") && !why.contains("BwcH"), "{why}");
        }
        assert!(Secret::parse(&bytes(24)).is_ok());
        assert!(Secret::parse(&bytes(64)).is_ok());
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::generate()), "Secret(…)");
    }
}
