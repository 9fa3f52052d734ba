//! Crockford base32 over fixed-length big-endian bytes: the text of every public id.
//! Invariant: equal lengths sort as text exactly as their bytes sort.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Encodes `bytes`, most significant bit first, padded with zero bits at the end.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(5));
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for &byte in bytes {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[((buffer >> bits) & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[((buffer << (5 - bits)) & 31) as usize]));
    }
    text
}

/// Decodes exactly `N` bytes; `None` for a wrong length, a foreign letter, or padding bits that are set
/// (so that one id has one text).
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut out = [0u8; N];
    let mut at = 0;
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|&known| known == letter)?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *out.get_mut(at)? = u8::try_from((buffer >> bits) & 255).ok()?;
            at += 1;
            buffer &= (1 << bits) - 1;
        }
    }
    (at == N && buffer == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_sorts_as_bytes_sort_and_comes_back() {
        let mut pairs: Vec<([u8; 14], String)> = (0u64..2000)
            .map(|n| {
                let mut bytes = [0u8; 14];
                bytes[2..10].copy_from_slice(&(n * 7_919_777).to_be_bytes());
                (bytes, encode(&bytes))
            })
            .collect();
        pairs.sort();
        assert!(pairs.is_sorted_by_key(|(_, text)| text.clone()));
        for (bytes, text) in pairs {
            assert_eq!(decode::<14>(&text), Some(bytes));
        }
    }

    #[test]
    fn a_wrong_text_is_refused() {
        let text = encode(&[1u8; 14]);
        assert_eq!(decode::<14>(&text.to_uppercase()), None);
        assert_eq!(decode::<14>(&format!("{text}0")), None);
        assert_eq!(decode::<14>(&text.replace('0', "u")), None);
    }
}
