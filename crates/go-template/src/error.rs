//! What can go wrong with a template: while it is read, and while it is rendered.
//! Both errors name the template, the line and the column, in Go's words where Go has words.

use std::fmt;

/// A template that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParseError {
    pub(crate) template: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

impl ParseError {
    /// The name given to the template.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in bytes, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: {}:{}:{}: {}", self.template, self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// The kinds of rendering errors, for callers that count or explain them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RenderErrorKind {
    /// A map has no such key, and [`MissingKey::Error`](crate::MissingKey::Error) is set;
    /// or a key was asked of nothing. [`RenderError::key`] has the key.
    MissingKey,
    /// A value has not the type that the place needs.
    Type,
    /// A function was given too few or too many arguments, or refused them.
    Call,
    /// A variable that was not declared on the way taken.
    UndefinedVariable,
    /// `{{template}}` names a template that is not defined.
    UndefinedTemplate,
    /// [`Limits::output`](crate::Limits::output) was reached.
    OutputLimit,
    /// [`Limits::memory`](crate::Limits::memory) was reached.
    MemoryLimit,
    /// [`Limits::steps`](crate::Limits::steps) was reached.
    StepLimit,
    /// [`Limits::depth`](crate::Limits::depth) was reached.
    DepthLimit,
}

impl RenderErrorKind {
    /// Whether a limit ended the rendering, rather than a fault in template or data.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::OutputLimit | Self::MemoryLimit | Self::StepLimit | Self::DepthLimit)
    }
}

/// A rendering that ended early. Nothing of it stays in the output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RenderError(pub(crate) Box<RenderFault>);

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RenderFault {
    pub(crate) template: String,
    pub(crate) executing: String,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) context: String,
    pub(crate) key: Option<String>,
    pub(crate) kind: RenderErrorKind,
    pub(crate) message: String,
}

impl RenderError {
    /// The name given to the template that was read.
    pub fn template(&self) -> &str {
        &self.0.template
    }

    /// The `{{define}}` or `{{block}}` that was running, or the template itself.
    pub fn executing(&self) -> &str {
        &self.0.executing
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The column in bytes, counted from 1.
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// The part of the template that failed, white space collapsed.
    pub fn context(&self) -> &str {
        &self.0.context
    }

    /// The key that was missing, where one was.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// What kind of fault it was.
    pub fn kind(&self) -> RenderErrorKind {
        self.0.kind
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RenderFault { template, executing, line, column, context, message, .. } = &*self.0;
        write!(f, "template: {template}:{line}:{column}: executing {executing:?} at <{context}>: {message}")
    }
}

impl std::error::Error for RenderError {}

/// Line and column, both from 1, of an offset.
pub(crate) fn place(source: &[u8], offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = 1 + memchr::memchr_iter(b'\n', before).count();
    let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |at| at + 1) + 1;
    (line, column)
}
