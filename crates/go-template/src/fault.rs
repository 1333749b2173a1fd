//! Why a rendering stops, as the executor's parts say it; the executor adds the place.

use crate::error::RenderErrorKind as Kind;

/// A fault before its place is known.
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    /// The key that was asked for, where one was.
    pub(crate) key: Option<String>,
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), key: None }
    }

    /// A key that is not there.
    pub(crate) fn missing(key: &[u8], message: &str) -> Self {
        let key = String::from_utf8_lossy(key).into_owned();
        Self { kind: Kind::MissingKey, message: format!("{message} {key:?}"), key: Some(key) }
    }

    /// A key asked of what has none.
    pub(crate) fn keyless(key: &[u8], message: String) -> Self {
        Self { kind: Kind::Type, message, key: Some(String::from_utf8_lossy(key).into_owned()) }
    }

    /// Values within values within values.
    pub(crate) fn nesting() -> Self {
        Self::new(Kind::DepthLimit, "values nest too deep")
    }
}
