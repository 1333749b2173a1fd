//! Why a request has no good answer. Every renderer returns a [`Fault`]; compat modes show a bare 404 for it,
//! strict mode tells it.

use std::fmt;

/// What went wrong, as a code that programs may match on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// No such endpoint or asset.
    NotFound,
    /// The query is not well formed (bad escape, `;`, NUL or a key given twice).
    BadQuery,
    /// No group's selectors match the labels.
    NoGroup,
    /// The group names no profile.
    NoProfile,
    /// A group file that does not parse might have matched these labels.
    GroupBroken,
    /// The group's profile has no file.
    ProfileMissing,
    /// The group's profile does not parse.
    ProfileBroken,
    /// The profile has no `boot` section.
    NoBoot,
    /// The profile names no template for this endpoint.
    NoTemplate,
    /// The named template has no file.
    TemplateMissing,
    /// The template does not parse.
    TemplateBroken,
    /// The template failed while rendering: most often a missing key.
    RenderFailed,
    /// Rendering stopped at a limit on output, steps or depth.
    RenderLimit,
    /// A value from the request would have changed the structure of what it was pasted into.
    Injection,
    /// The rendered text is not YAML, or not of the expected kind.
    BadYaml,
    /// The result is no valid Ignition config.
    BadIgnition,
    /// This build or configuration cannot do it.
    Unsupported,
    /// The embedding program refused.
    Refused,
}

impl Reason {
    /// The stable name in error bodies, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::BadQuery => "bad-query",
            Self::NoGroup => "no-group",
            Self::NoProfile => "no-profile",
            Self::GroupBroken => "group-broken",
            Self::ProfileMissing => "profile-missing",
            Self::ProfileBroken => "profile-broken",
            Self::NoBoot => "no-boot",
            Self::NoTemplate => "no-template",
            Self::TemplateMissing => "template-missing",
            Self::TemplateBroken => "template-broken",
            Self::RenderFailed => "render-failed",
            Self::RenderLimit => "render-limit",
            Self::Injection => "injection",
            Self::BadYaml => "bad-yaml",
            Self::BadIgnition => "bad-ignition",
            Self::Unsupported => "unsupported",
            Self::Refused => "refused",
        }
    }

    /// The status strict mode answers with: 404 nothing for you, 400 your request, 503 a file that somebody has
    /// to mend, 500 a template that cannot be rendered for these values.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound | Self::NoGroup | Self::NoProfile | Self::NoBoot | Self::NoTemplate => 404,
            Self::BadQuery | Self::Injection => 400,
            Self::GroupBroken
            | Self::ProfileMissing
            | Self::ProfileBroken
            | Self::TemplateMissing
            | Self::TemplateBroken => 503,
            Self::RenderFailed | Self::RenderLimit | Self::BadYaml | Self::BadIgnition => 500,
            Self::Unsupported => 501,
            Self::Refused => 403,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A [`Reason`] with the place and the words for a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The code.
    pub reason: Reason,
    /// The file at fault, relative to the data folder.
    pub file: Option<Box<str>>,
    /// Its line, counted from 1; 0 if unknown.
    pub line: u32,
    /// Its column in bytes, counted from 1; 0 if unknown.
    pub column: u32,
    /// What is wrong and what mends it, in one sentence.
    pub detail: Box<str>,
    query_key: Option<Box<str>>, // a key that a template asked of `request.query`
}

impl Fault {
    /// A fault without a place.
    pub fn new(reason: Reason, detail: impl Into<Box<str>>) -> Self {
        Self { reason, file: None, line: 0, column: 0, detail: detail.into(), query_key: None }
    }

    /// The same fault at a file.
    #[must_use]
    pub fn at(mut self, file: &str, line: u32, column: u32) -> Self {
        self.file = Some(file.into());
        (self.line, self.column) = (line, column);
        self
    }

    /// The same fault, for want of this key in the query.
    #[must_use]
    pub(crate) fn missing_query(mut self, key: &str) -> Self {
        self.query_key = Some(key.into());
        self
    }

    /// The query key whose absence made a template fail.
    pub fn missing_query_key(&self) -> Option<&str> {
        self.query_key.as_deref()
    }

    /// The body strict mode sends: one JSON object, one line.
    pub fn to_json(&self) -> Vec<u8> {
        let mut error = serde_json::Map::new();
        error.insert("code".into(), self.reason.as_str().into());
        error.insert("message".into(), self.detail.as_ref().into());
        if let Some(file) = &self.file {
            error.insert("file".into(), file.as_ref().into());
        }
        if self.line > 0 {
            error.insert("line".into(), self.line.into());
            error.insert("column".into(), self.column.into());
        }
        let mut body = serde_json::json!({ "error": error }).to_string().into_bytes();
        body.push(b'\n');
        body
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if self.line > 0 {
                write!(f, ":{}:{}", self.line, self.column)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Fault {}
