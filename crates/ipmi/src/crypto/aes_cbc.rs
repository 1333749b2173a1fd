//! AES-CBC-128 as RMCP+ uses it (IPMI v2.0 §13.29): IV, ciphertext, padding 1, 2, 3, … and its length.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::Code;
use crate::ParseError;

const BLOCK: usize = 16;

/// The cipher of one session, keyed by the first 16 octets of K2.
pub struct AesCbc128(Aes128);

impl std::fmt::Debug for AesCbc128 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AesCbc128(…)")
    }
}

impl AesCbc128 {
    /// Takes K2; `None` if it is shorter than 16 octets (RAKP-none makes no keys).
    pub fn new(k2: &Code) -> Option<Self> {
        let key = k2.as_slice().get(..BLOCK)?;
        Aes128::new_from_slice(key).ok().map(Self)
    }

    /// Octets of IV, ciphertext and padding for `length` octets of plaintext.
    pub fn sealed_size(length: usize) -> usize {
        BLOCK + (length + 1).next_multiple_of(BLOCK)
    }

    /// Appends IV and ciphertext.
    pub fn seal(&self, iv: [u8; BLOCK], plain: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&iv);
        let padding = (plain.len() + 1).next_multiple_of(BLOCK) - plain.len() - 1;
        let pad = (1..=padding as u8).chain([padding as u8]);
        let mut octets = plain.iter().copied().chain(pad);
        let mut chain = iv;
        for _ in 0..(plain.len() + 1).div_ceil(BLOCK) {
            for (cell, octet) in chain.iter_mut().zip(&mut octets) {
                *cell ^= octet;
            }
            let mut block = chain.into();
            self.0.encrypt_block(&mut block);
            chain = block.into();
            out.extend_from_slice(&chain);
        }
    }

    /// Replaces the contents of `out` by the plaintext, padding checked and removed.
    pub fn open(&self, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), ParseError> {
        let (iv, cipher) = sealed.split_first_chunk::<BLOCK>().ok_or(ParseError::Truncated("AES-CBC IV"))?;
        let (blocks, rest) = cipher.as_chunks::<BLOCK>();
        if blocks.is_empty() || !rest.is_empty() {
            return Err(ParseError::Length("AES-CBC payload"));
        }
        out.clear();
        let mut chain = *iv;
        for sealed in blocks {
            let mut block = (*sealed).into();
            self.0.decrypt_block(&mut block);
            out.extend(block.iter().zip(chain).map(|(octet, before)| octet ^ before));
            chain = *sealed;
        }
        let padding = out.pop().map_or(0, usize::from);
        let keep = out.len().checked_sub(padding).filter(|_| padding < BLOCK);
        let keep = keep.ok_or(ParseError::Padding("AES-CBC"))?;
        let pad = out.get(keep..).unwrap_or_default();
        if !pad.iter().copied().eq(1..=padding as u8) {
            return Err(ParseError::Padding("AES-CBC"));
        }
        out.truncate(keep);
        Ok(())
    }
}
