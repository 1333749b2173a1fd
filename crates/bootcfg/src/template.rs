//! Templates and the data they see. A template is parsed once per snapshot, when it is first needed.

use std::sync::OnceLock;

use bytes::Bytes;
use go_template::{Functions, Limits, MissingKey, Template, Value};

use crate::fault::{Fault, Reason};
use crate::group::Group;
use crate::labels::Labels;

/// A file below `ignition/`, `cloud/` or `generic/`.
#[derive(Debug)]
pub struct TemplateFile {
    file: Box<str>,
    source: Bytes,
    parsed: OnceLock<Result<Template, Fault>>,
    raw: OnceLock<Result<Bytes, Fault>>,
}

impl TemplateFile {
    /// A file by its path below the data folder.
    pub fn new(file: &str, source: Bytes) -> Self {
        Self { file: file.into(), source, parsed: OnceLock::new(), raw: OnceLock::new() }
    }

    /// The path below the data folder.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The octets as stored.
    pub fn source(&self) -> &Bytes {
        &self.source
    }

    /// The parsed template; a missing key fails, as in both originals.
    ///
    /// # Errors
    /// The place and the reason if the text is no template.
    pub fn parsed(&self) -> Result<&Template, Fault> {
        let parsed = self.parsed.get_or_init(|| {
            Template::parse(&self.file, &self.source, &Functions::default())
                .map(|template| template.with_missing_key(MissingKey::Error))
                .map_err(|error| {
                    let (line, column) = (to_u32(error.line()), to_u32(error.column()));
                    Fault::new(Reason::TemplateBroken, error.message().to_string())
                        .at(&self.file, line, column)
                })
        });
        parsed.as_ref().map_err(Clone::clone)
    }

    /// The answer of a file that is no template: the same for everybody, so made once.
    pub(crate) fn raw(&self, make: impl FnOnce(&Bytes) -> Result<Bytes, Fault>) -> Result<Bytes, Fault> {
        self.raw.get_or_init(|| make(&self.source)).clone()
    }

    /// Renders with this data.
    ///
    /// # Errors
    /// The place and the reason; nothing of a failed rendering is returned.
    pub fn render(&self, data: &Value, limits: &Limits) -> Result<Vec<u8>, Fault> {
        self.parsed()?.render_to_vec(data, limits).map_err(|error| {
            let reason = match error.kind() {
                kind if kind.is_limit() => Reason::RenderLimit,
                _ => Reason::RenderFailed,
            };
            let mut detail = error.message().to_string();
            if let Some(key) = error.key() {
                detail = format!("{detail} (key `{key}`: add it to the group's metadata or to the query)");
            }
            let fault =
                Fault::new(reason, detail).at(&self.file, to_u32(error.line()), to_u32(error.column()));
            match error.key() {
                Some(key) if error.context().contains("request.query") => fault.missing_query(key),
                _ => fault,
            }
        })
    }
}

fn to_u32(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

/// The variables of a rendering: metadata, the selectors over it with lower-case keys, then what the caller adds.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// Names and values; `request` is not among them.
    pub map: serde_json::Map<String, serde_json::Value>,
}

impl Variables {
    /// Collects them.
    pub fn new(group: Option<&Group>, extra: Option<&serde_json::Map<String, serde_json::Value>>) -> Self {
        let mut map = group.map(Group::metadata).unwrap_or_default();
        for (key, values) in group.iter().flat_map(|group| group.selector.iter()) {
            if let [value] = values {
                map.insert(key.to_lowercase(), value.as_ref().into());
            }
        }
        for (key, value) in extra.into_iter().flatten() {
            map.insert(key.clone(), value.clone());
        }
        Self { map }
    }

    /// What a template sees: the variables and `request`, which replaces a variable of that name.
    pub fn template_data(&self, labels: &Labels, raw_query: &[u8]) -> Value {
        let mut data: go_template::Map =
            self.map.iter().map(|(key, value)| (key, Value::from(value))).collect();
        let query: go_template::StringMap = labels.iter().collect();
        let mut request = go_template::Map::new();
        request.insert("query", Value::from(query));
        request.insert("raw_query", Value::string(raw_query));
        data.insert("request", Value::from(request));
        Value::from(data)
    }
}
