//! Base64url without padding (RFC 4648 section 5), in its one canonical form. By hand: what the `base64` crate makes of reading it is
//! ten times the code, which every WebAssembly module would carry.

use alloc::string::String;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What a character stands for.
const fn digit(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character.wrapping_sub(b'A'),
        b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

/// Decodes a text into `bytes`. None where it is no base64url, has padding, has bits that stand for nothing, or is too long.
pub(super) fn decode<'b>(text: &str, bytes: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut length = 0_usize;
    for four in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for &character in four {
            bits = (bits << 6) | u32::from(digit(character)?);
        }
        // Of four characters three bytes, of three two, of two one; one character is half a byte.
        let count = four.len().checked_sub(1).filter(|&count| count > 0)?;
        for _ in four.len()..4 {
            bits <<= 6;
        }
        let [_, decoded @ ..] = bits.to_be_bytes();
        let (used, rest) = decoded.split_at_checked(count)?;
        if rest.iter().any(|&byte| byte != 0) {
            return None;
        }
        let end = length.saturating_add(count);
        bytes.get_mut(length..end)?.copy_from_slice(used);
        length = end;
    }
    bytes.get(..length)
}

/// Encodes bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut all = [0; 4];
        for (place, byte) in all.iter_mut().skip(1).zip(three) {
            *place = *byte;
        }
        let bits = u32::from_be_bytes(all);
        for shift in [18_u32, 12, 6, 0].into_iter().take(three.len().saturating_add(1)) {
            let digit = bits.unbounded_shr(shift) & 63;
            text.push(ALPHABET.get(digit as usize).map_or('_', |&character| char::from(character)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn reads_what_the_base64_crate_reads() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for round in 0..4000_usize {
            let bytes: alloc::vec::Vec<u8> = (0..round % 40).map(|_| next()).collect();
            let mut text = encode(&bytes);
            let mut expected = vec![0; 80];
            let length = URL_SAFE_NO_PAD.encode_slice(&bytes, &mut expected).unwrap_or(0);
            assert_eq!(expected.get(..length), Some(text.as_bytes()));
            if round % 2 == 1 && !text.is_empty() {
                let at = usize::from(next()) % text.len();
                let other = ["A", "B", "=", "+", "/", "", "z", "\0"]
                    .get(usize::from(next()) % 8)
                    .copied()
                    .unwrap_or_default();
                text.replace_range(at..=at, other);
            }
            let length = URL_SAFE_NO_PAD.decode_slice(&text, &mut expected).ok();
            let mut found = vec![0; 80];
            assert_eq!(decode(&text, &mut found), length.and_then(|length| expected.get(..length)), "{text}");
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert_eq!(decode("AAAA", &mut [0; 2]), None);
        assert_eq!(decode("AAAA", &mut [0; 3]), Some([0; 3].as_slice()));
    }
}
