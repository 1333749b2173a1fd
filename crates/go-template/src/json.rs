//! JSON as Go's `encoding/json` decodes it into an `interface {}`. Behind the feature `serde_json`.

use crate::list::List;
use crate::map::Map;
use crate::value::Value;

impl From<&serde_json::Value> for Value {
    /// Every number becomes a [`Value::Float`]; lists have the spare capacity that Go's decoder leaves them.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(truth) => Self::Bool(*truth),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::string(text),
            serde_json::Value::Array(items) => {
                Self::List(List::appended(items.iter().map(Self::from).collect()))
            }
            serde_json::Value::Object(entries) => {
                entries.iter().map(|(key, value)| (key, Self::from(value))).collect::<Map>().into()
            }
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        Self::from(&json)
    }
}
