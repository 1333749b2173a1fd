#![doc = include_str!("../README.md")]

mod builtins;
mod code;
mod compare;
mod error;
mod escape;
mod exec;
mod fault;
mod field;
mod fmt;
mod functions;
#[cfg(feature = "serde_json")]
mod json;
mod lex;
mod limits;
mod list;
mod map;
mod number;
mod parse;
mod pipeline;
mod quote;
mod slot;
mod template;
mod unicode;
mod value;
mod walk;

pub use error::{ParseError, RenderError, RenderErrorKind};
pub use functions::{BadName, Function, Functions};
pub use limits::Limits;
pub use list::List;
pub use map::{Map, Sorted, StringMap};
pub use template::{MissingKey, Template};
pub use value::Value;
