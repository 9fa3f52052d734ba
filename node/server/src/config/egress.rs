//! Through what deliveries go out, and whom they trust: the proxy that the configuration names, the file of its
//! credentials, which is read at the start and never shown, and certificate authorities of one's own.

use std::io;
use std::path::PathBuf;

use pushrail_adapters::proxy::{CREDENTIALS_FORM, Proxy};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Through what it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressConfig {
    /// The proxy of every connection to a destination; `None`: direct.
    pub proxy: Option<Proxy>,
    /// Where this node's user name and password for it stand.
    pub proxy_credentials_file: Option<PathBuf>,
    /// Where certificates stand that are trusted beside the public authorities', in PEM.
    pub ca_file: Option<PathBuf>,
}

/// The proxy's credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// There is no reading their file.
    #[error("read egress.proxy_credentials_file {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// They are not of their form; what stands there is not repeated.
    #[error("egress.proxy_credentials_file {path} does not hold what it must: {CREDENTIALS_FORM}")]
    Form {
        /// Which.
        path: PathBuf,
    },
    /// There are no certificates to be had.
    #[error("egress.ca_file {path} does not hold what it must, certificates in PEM: {why}")]
    Certificates {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl EgressConfig {
    /// The certificates that are trusted beside the public authorities', in DER.
    pub fn roots(&self) -> Result<Vec<Vec<u8>>, EgressError> {
        let Some(path) = &self.ca_file else {
            return Ok(Vec::new());
        };
        let refused = |why: String| EgressError::Certificates {
            path: path.clone(),
            why,
        };
        let found = CertificateDer::pem_file_iter(path).map_err(|error| refused(error.to_string()))?;
        let roots = found
            .map(|one| one.map(|one| one.to_vec()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refused(error.to_string()))?;
        if roots.is_empty() {
            return Err(refused("there is none in it".to_owned()));
        }
        // What no certificate is between the right lines would be met only where it is used.
        let mut store = RootCertStore::empty();
        for (at, root) in roots.iter().enumerate() {
            let added = store.add(CertificateDer::from(root.clone()));
            added.map_err(|error| refused(format!("number {}: {error}", at + 1)))?;
        }
        Ok(roots)
    }

    /// The proxy, with its credentials where there are any.
    pub fn open(&self) -> Result<Option<Proxy>, EgressError> {
        let (Some(proxy), Some(path)) = (&self.proxy, &self.proxy_credentials_file) else {
            return Ok(self.proxy.clone());
        };
        let path = path.clone();
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let with = proxy.clone().with_credentials(&text);
                with.map(Some).ok_or(EgressError::Form { path })
            }
            Err(source) => Err(EgressError::Read { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn credentials_come_from_their_file_and_a_wrong_one_is_named_and_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy");
        let egress = EgressConfig {
            proxy: Proxy::parse("http://proxy.internal:3128"),
            proxy_credentials_file: Some(path.clone()),
            ca_file: None,
        };

        let missing = egress.open().unwrap_err().to_string();
        std::fs::write(&path, "hunter2\n").unwrap();
        let wrong = egress.open().unwrap_err().to_string();
        std::fs::write(&path, "node:hunter2\n").unwrap();
        let good = egress.open().unwrap();

        assert!(missing.contains(&path.display().to_string()), "{missing}");
        assert!(
            wrong.contains("user:password") && !wrong.contains("hunter2"),
            "{wrong}"
        );
        assert_eq!(
            good,
            egress.proxy.clone().unwrap().with_credentials("node:hunter2")
        );
        assert_ne!(good, egress.proxy);
    }

    const CERTIFICATE: &[u8] =
        include_bytes!("../../../../adapters/tests/conformance/data/hooks.example.crt.der");

    #[test]
    fn certificates_come_from_their_file_and_one_without_any_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let egress = EgressConfig {
            proxy: None,
            proxy_credentials_file: None,
            ca_file: Some(path.clone()),
        };
        let said = |egress: &EgressConfig| egress.roots().unwrap_err().to_string();

        let missing = said(&egress);
        std::fs::write(&path, "no certificate\n").unwrap();
        let none = said(&egress);
        let pem = |bytes: &[u8]| {
            let text = STANDARD.encode(bytes);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        std::fs::write(&path, format!("{}{}", pem(CERTIFICATE), pem(b"no certificate"))).unwrap();
        let broken = said(&egress);
        std::fs::write(&path, pem(CERTIFICATE).repeat(2)).unwrap();

        for wrong in [missing, none, broken] {
            assert!(wrong.contains(&path.display().to_string()), "{wrong}");
        }
        assert_eq!(egress.roots().unwrap(), [CERTIFICATE; 2]);
    }
}
