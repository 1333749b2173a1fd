//! The crate's front door: a parsed template and how to render it.

use std::sync::Arc;

use crate::code::Program;
use crate::error::{ParseError, RenderError};
use crate::exec::Machine;
use crate::functions::Functions;
use crate::limits::Limits;
use crate::parse::parse;
use crate::value::Value;

/// What a key that a map does not have stands for (`Template.Option("missingkey=…")`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MissingKey {
    /// Nothing: it prints as `<no value>` and is false.
    #[default]
    Default,
    /// The zero of the map's elements: the empty string in a [`StringMap`](crate::StringMap), nil in a
    /// [`Map`](crate::Map).
    Zero,
    /// An error, also in the condition of an `if`. matchbox renders this way.
    Error,
}

/// A parsed template with everything its text defines. Cheap to clone, and may be rendered by many threads at once.
#[derive(Clone, Debug)]
pub struct Template {
    name: Arc<str>,
    missing_key: MissingKey,
    program: Arc<Program>,
}

impl Template {
    /// Parses a template. The name is what errors say, and what `{{template}}` may call it by.
    ///
    /// # Errors
    /// The first fault in the text, with its place. Time and memory are linear in the length of the text.
    pub fn parse(name: &str, source: &[u8], functions: &Functions) -> Result<Self, ParseError> {
        let program = parse(name, source, functions)?;
        Ok(Self { name: name.into(), missing_key: MissingKey::Default, program: Arc::new(program) })
    }

    /// The same template with another rule for missing keys.
    #[must_use]
    pub fn with_missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// The name it was parsed with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the templates that the text defines, itself included, in the order of their bytes.
    pub fn defined(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.program.templates.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        names.sort();
        names
    }

    /// Renders with `data` as the cursor and appends to `out`.
    ///
    /// # Errors
    /// The first fault met, or the limit reached. `out` is then as long as before: half a configuration is none.
    pub fn render(&self, data: &Value, limits: &Limits, out: &mut Vec<u8>) -> Result<(), RenderError> {
        let before = out.len();
        let result = Machine::new(&self.program, &self.name, self.missing_key, limits, out).run(data);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    /// Renders into a vector of its own.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn render_to_vec(&self, data: &Value, limits: &Limits) -> Result<Vec<u8>, RenderError> {
        let mut out = Vec::new();
        self.render(data, limits, &mut out)?;
        Ok(out)
    }
}
