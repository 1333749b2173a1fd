//! Signing as a value: what is asked of a signer. [`crate::openpgp`] has the real one.

use std::io::Read;

use crate::route::SignatureForm;

/// How the signed octets are read by whoever verifies.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignedAs {
    /// Text: line endings do not count. What is rendered is signed so, as matchbox does.
    Text,
    /// Octets. Assets are signed so.
    Octets,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SignError(pub String);

/// Makes detached signatures.
pub trait Sign: std::fmt::Debug + Send + Sync {
    /// Signs all that `data` gives; `now` is in seconds since 1970 and goes into the signature.
    ///
    /// # Errors
    /// What the key or `data` refused.
    fn sign(
        &self,
        form: SignatureForm,
        kind: SignedAs,
        data: &mut dyn Read,
        now: u32,
    ) -> Result<Vec<u8>, SignError>;
}
