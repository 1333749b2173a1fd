//! SHA-256 and SHA-512 in lower-case hexadecimal (FIPS 180-4).

use std::io::{self, Read};

use sha2::{Digest as _, Sha256, Sha512};

/// Of octets in memory.
pub(crate) fn of(octets: &[u8]) -> String {
    hex(&Sha256::digest(octets))
}

/// SHA-512 of octets in memory.
pub(crate) fn sha512(octets: &[u8]) -> String {
    hex(&Sha512::digest(octets))
}

/// Of everything that can be read.
pub(crate) fn of_reader(mut from: impl Read) -> io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Octets in lower-case hexadecimal.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn abc() {
        // FIPS 180-4, the example of NIST's test suite
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::of(b"abc"), digest);
        assert_eq!(super::of_reader(&b"abc"[..]).unwrap(), digest);
    }
}
