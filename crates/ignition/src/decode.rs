//! From a [`Tree`] to typed objects.
//!
//! The `objects!` macro declares an object once, with its JSON names and the versions that know each field; from
//! it come the type, decoding (Go's rules for JSON and for both YAML libraries), encoding, merging and the schema.

use crate::report::{At, Report};
use crate::tree::{Cursor, Kind, Tree};

/// Whose reading of scalars and names applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// Go's `encoding/json`.
    Json,
    /// `go-yaml` version 2: Fuze and Container Linux Config.
    #[cfg(feature = "yaml")]
    Yaml2,
    /// `go-yaml` version 3: Butane.
    #[cfg(feature = "yaml")]
    Yaml3,
}

impl Format {
    /// Whether the reference remarks on `null` in an object's place.
    fn says_null(self) -> bool {
        match self {
            Self::Json => true,
            #[cfg(feature = "yaml")]
            Self::Yaml2 => false,
            #[cfg(feature = "yaml")]
            Self::Yaml3 => true,
        }
    }
}

/// What a field may hold, for schemas and hints.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    String,
    /// A list.
    List(&'static Shape),
    /// An object whose names are free.
    Map(&'static Shape),
    /// An object with these fields.
    Object(&'static str, &'static [Field]),
}

/// One field of an object.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in JSON.
    pub json: &'static str,
    /// Name in YAML.
    pub yaml: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// First version (the minor number of the generation) that knows it.
    pub since: u8,
    /// First version that does not know it any more.
    pub until: u8,
    /// Written even when empty (no `omitempty` in the reference's type).
    pub always: bool,
    /// A list whose merge keeps every element of both sides.
    pub append: bool,
    /// A switch whose default is on: leaving `true` out changes nothing.
    pub default_on: bool,
}

impl Field {
    pub(crate) const BASE: Self = Self {
        json: "",
        yaml: "",
        shape: Shape::Bool,
        since: 0,
        until: u8::MAX,
        always: false,
        append: false,
        default_on: false,
    };

    /// Whether version `level` of the generation knows the field.
    pub const fn known(&self, level: u8) -> bool {
        self.since <= level && level < self.until
    }
}

/// The state of one decoding.
pub(crate) struct Cx<'r> {
    pub(crate) report: &'r mut Report,
    pub(crate) format: Format,
    /// Minor number of the version: which fields exist.
    pub(crate) level: u8,
    /// What may still be allocated, in octets.
    pub(crate) budget: usize,
    /// Inside what was merged or aliased: unknown names stand elsewhere.
    pub(crate) quiet: u32,
    /// What an unknown name is: a warning, and for Fuze an error.
    pub(crate) unused: crate::report::Severity,
}

/// Octets of typed values allowed whatever the input's size.
const FREE_BUDGET: usize = 256 << 10;

impl<'r> Cx<'r> {
    pub(crate) fn new(report: &'r mut Report, format: Format, level: u8) -> Self {
        Self {
            report,
            format,
            level,
            budget: FREE_BUDGET,
            quiet: 0,
            unused: crate::report::Severity::Warning,
        }
    }

    /// Allows tree and values together eight and a half times the document; the values a `part` of what is left, since
    /// what is made of them needs the rest.
    pub(crate) fn reading(mut self, tree: &Tree<'_>, part: usize) -> Self {
        let room = FREE_BUDGET + (tree.source().len() * 17 / 2).saturating_sub(tree.octets());
        self.budget = room / part;
        self
    }

    /// Takes `octets` from the budget; `false` once it is spent (said once).
    pub(crate) fn spend(&mut self, octets: usize, at: &At<'_>) -> bool {
        if self.budget == 0 {
            return false;
        }
        self.budget = self.budget.saturating_sub(octets);
        if self.budget == 0 {
            let message = "the document is so dense that it would take many times its size in memory";
            self.report.error("too-dense", message, at);
        }
        self.budget > 0
    }

    fn name(&self, field: &Field) -> &'static str {
        if self.format == Format::Json { field.json } else { field.yaml }
    }

    pub(crate) fn mismatch(&mut self, found: Cursor<'_>, wanted: &'static str, at: &At<'_>) {
        let kind = match found.kind() {
            Kind::Null => "null",
            Kind::Bool => "bool",
            Kind::Number => "number",
            Kind::String | Kind::Plain | Kind::Alias => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        };
        let shown = match found.kind() {
            Kind::Number | Kind::Bool | Kind::Plain => {
                format!(" `{}`", crate::text::shorten(found.text(), 40))
            }
            _ => String::new(),
        };
        let code = if self.format == Format::Json { "json-type" } else { "yaml-type" };
        self.report.error(code, format!("expected {wanted}, found {kind}{shown}"), at);
    }
}

/// A value that can be read from a node into its place.
///
/// Reading into an existing value is how Go treats a name given twice: the second overlays the first.
pub(crate) trait Decode: Default {
    /// For schemas.
    const SHAPE: Shape;

    /// Reads `node`. `false` when nothing was stored (a type error, or `null` where the library skips it).
    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool;
}

/// Whether the node is null in the eyes of the reading library.
pub(crate) fn is_null(cx: &Cx<'_>, node: Cursor<'_>) -> bool {
    match cx.format {
        Format::Json => node.kind() == Kind::Null,
        #[cfg(feature = "yaml")]
        Format::Yaml2 | Format::Yaml3 => crate::yaml::scalar::is_null(node),
    }
}

impl Decode for bool {
    const SHAPE: Shape = Shape::Bool;

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if is_null(cx, node) {
            return null(cx, self);
        }
        let value = match cx.format {
            Format::Json => (node.kind() == Kind::Bool).then(|| node.text() == "true"),
            #[cfg(feature = "yaml")]
            Format::Yaml2 => crate::yaml::scalar::bool_v2(node),
            #[cfg(feature = "yaml")]
            Format::Yaml3 => crate::yaml::scalar::bool_v3(node),
        };
        store(self, value, cx, node, "true or false", at)
    }
}

impl Decode for i64 {
    const SHAPE: Shape = Shape::Int;

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if is_null(cx, node) {
            return null(cx, self);
        }
        let value = match cx.format {
            Format::Json => (node.kind() == Kind::Number).then(|| node.text().parse().ok()).flatten(),
            #[cfg(feature = "yaml")]
            Format::Yaml2 => crate::yaml::scalar::int_v2(node),
            #[cfg(feature = "yaml")]
            Format::Yaml3 => crate::yaml::scalar::int_v3(node),
        };
        store(self, value, cx, node, "a whole number", at)
    }
}

impl Decode for u64 {
    const SHAPE: Shape = Shape::Int;

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if is_null(cx, node) {
            return null(cx, self);
        }
        let value = match cx.format {
            Format::Json => (node.kind() == Kind::Number).then(|| node.text().parse().ok()).flatten(),
            #[cfg(feature = "yaml")]
            Format::Yaml2 | Format::Yaml3 => crate::yaml::scalar::uint(node),
        };
        store(self, value, cx, node, "a whole number, not negative", at)
    }
}

impl Decode for String {
    const SHAPE: Shape = Shape::String;

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if is_null(cx, node) {
            return null(cx, self);
        }
        let value = match cx.format {
            Format::Json => (node.kind() == Kind::String).then(|| node.text().to_owned()),
            #[cfg(feature = "yaml")]
            Format::Yaml2 | Format::Yaml3 => crate::yaml::scalar::string(node),
        };
        cx.spend(node.text().len(), at) && store(self, value, cx, node, "text", at)
    }
}

/// `null` leaves JSON's and version 3's value alone and resets version 2's.
fn null<T: Default>(cx: &Cx<'_>, value: &mut T) -> bool {
    match cx.format {
        Format::Json => {
            let _ = value;
            true
        }
        #[cfg(feature = "yaml")]
        Format::Yaml2 => {
            *value = T::default();
            true
        }
        #[cfg(feature = "yaml")]
        Format::Yaml3 => false,
    }
}

fn store<T>(
    to: &mut T,
    value: Option<T>,
    cx: &mut Cx<'_>,
    node: Cursor<'_>,
    wanted: &'static str,
    at: &At<'_>,
) -> bool {
    match value {
        Some(value) => {
            *to = value;
            true
        }
        None => {
            cx.mismatch(node, wanted, at);
            false
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    const SHAPE: Shape = T::SHAPE;

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if is_null(cx, node) {
            *self = None;
            return true;
        }
        self.get_or_insert_default().decode(cx, node, at)
    }
}

impl<T: Decode> Decode for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);

    fn decode(&mut self, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
        if is_null(cx, node) {
            self.clear();
            return true;
        }
        if node.kind() != Kind::Array {
            cx.mismatch(node, "a list", at);
            return false;
        }
        if cx.format != Format::Json {
            self.clear();
        }
        let mut kept = 0;
        // All that the budget has room for, at once: growing would hold the list twice.
        let room = node.items().count().min(cx.budget / size_of::<T>().max(1) + 1);
        self.reserve_exact(room.saturating_sub(self.len()));
        for (index, item) in node.items().enumerate() {
            if !cx.spend(size_of::<T>(), at) {
                break;
            }
            if kept == self.len() {
                self.push(T::default());
            }
            let stored = self.get_mut(kept).is_some_and(|place| place.decode(cx, item, &at.index(index)));
            // Version 2 and 3 of the YAML library drop elements that they cannot store.
            kept += usize::from(stored || cx.format == Format::Json);
        }
        self.truncate(kept);
        true
    }
}

/// An object of named fields; implemented by [`objects!`].
pub(crate) trait Object: Default {
    /// All fields of all versions, in the order they are written.
    const FIELDS: &'static [Field];

    /// Reads `node` into the field called `name` in the document. `None` if there is none.
    fn decode_field(&mut self, cx: &mut Cx<'_>, name: &str, node: Cursor<'_>, at: &At<'_>) -> Option<bool>;
}

/// Reads the members of an object.
pub(crate) fn decode_object<T: Object>(to: &mut T, cx: &mut Cx<'_>, node: Cursor<'_>, at: &At<'_>) -> bool {
    if is_null(cx, node) {
        if cx.format.says_null() && cx.quiet == 0 {
            let message = "context tree does not match content tree: null where an object belongs";
            cx.report.warn("null-where-object", message, at);
        }
        return null(cx, to);
    }
    if node.kind() != Kind::Object {
        cx.mismatch(node, "an object", at);
        return false;
    }
    #[cfg(feature = "yaml")]
    if cx.format != Format::Json {
        return crate::yaml::merge_key::decode_members(to, cx, node, at);
    }
    for (key, value) in node.members() {
        decode_member(to, cx, key, value, at);
    }
    true
}

/// Reads one member: by its exact name, else (JSON) by its name in another case.
pub(crate) fn decode_member<T: Object>(
    to: &mut T,
    cx: &mut Cx<'_>,
    key: Cursor<'_>,
    value: Cursor<'_>,
    at: &At<'_>,
) {
    let name = key.text();
    if to.decode_field(cx, name, value, at).is_some() {
        return;
    }
    if cx.format == Format::Json {
        let level = cx.level;
        let mut known = T::FIELDS.iter().filter(|field| field.known(level));
        if let Some(field) = known.find(|field| crate::text::eq_fold(field.json, name)) {
            let _ = to.decode_field(cx, field.json, value, at);
        }
    }
    unused(cx, T::FIELDS, name, at);
}

/// Says that nobody reads the key, and which one was probably meant.
pub(crate) fn unused(cx: &mut Cx<'_>, fields: &[Field], name: &str, at: &At<'_>) {
    if cx.report.is_full() || cx.quiet > 0 {
        return;
    }
    let level = cx.level;
    let known = fields.iter().filter(|field| field.known(level)).map(|field| cx.name(field));
    let hint = match crate::text::nearest(name, known) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => fields
            .iter()
            .find(|field| cx.name(field) == name)
            .map(|_| "this version of the specification does not know the key; others do".to_owned()),
    };
    let message = format!("unused key {}", crate::text::shorten(name, 80));
    cx.report.add(cx.unused, "unused-key", message, &at.key(name));
    if let (Some(entry), Some(hint)) = (cx.report.entries_mut().last_mut(), hint) {
        entry.hint = Some(hint);
    }
}

/// Declares objects: `field: Type = "jsonName" { since: 3, always: true };`.
///
/// `inputs!` makes the types and reads them; `objects!` also writes, merges and cuts them down to a version.
macro_rules! inputs {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $( ( $($option:tt)* ) )? {
            $( $(#[$fmeta:meta])* $field:ident : $ty:ty = $json:literal $({ $($k:ident : $v:expr),* })? ; )*
        }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $( $(#[$fmeta])* pub $field: $ty, )* }

        impl $crate::decode::Object for $name {
            const FIELDS: &'static [$crate::decode::Field] = &[ $( $crate::decode::Field {
                json: $json,
                yaml: $crate::decode::yaml_name(stringify!($field)),
                shape: <$ty as $crate::decode::Decode>::SHAPE,
                $($($k: $v,)*)?
                ..$crate::decode::Field::BASE
            }, )* ];

            fn decode_field(
                &mut self,
                cx: &mut $crate::decode::Cx<'_>,
                name: &str,
                node: $crate::tree::Cursor<'_>,
                at: &$crate::report::At<'_>,
            ) -> Option<bool> {
                $( {
                    const FIELD: $crate::decode::Field = $crate::decode::Field {
                        json: $json,
                        yaml: $crate::decode::yaml_name(stringify!($field)),
                        $($($k: $v,)*)?
                        ..$crate::decode::Field::BASE
                    };
                    if name == if cx.format == $crate::decode::Format::Json { FIELD.json } else { FIELD.yaml } {
                        if !FIELD.known(cx.level) {
                            return None;
                        }
                        return Some($crate::decode::Decode::decode(&mut self.$field, cx, node, &at.key(name)));
                    }
                } )*
                None
            }
        }

        impl $crate::decode::Decode for $name {
            const SHAPE: $crate::decode::Shape =
                $crate::decode::Shape::Object(stringify!($name), <Self as $crate::decode::Object>::FIELDS);

            fn decode(
                &mut self,
                cx: &mut $crate::decode::Cx<'_>,
                node: $crate::tree::Cursor<'_>,
                at: &$crate::report::At<'_>,
            ) -> bool {
                $crate::decode::decode_object(self, cx, node, at)
            }
        }
    )* };
}
pub(crate) use inputs;

/// See [`inputs!`]. After the name may stand `(key = |this| …, removes = |this| …, before = function)`.
macro_rules! objects {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident
        $( ( key = $key:expr $(, removes = $removes:expr)? ) )? $( ( before = $before:path ) )?
        {
            $( $(#[$fmeta:meta])* $field:ident : $ty:ty = $json:literal $({ $($k:ident : $v:expr),* })? ; )*
        }
    )*) => {
        $crate::decode::inputs! { $(
            $(#[$meta])*
            pub struct $name { $( $(#[$fmeta])* $field : $ty = $json $({ $($k : $v),* })? ; )* }
        )* }
    $(
        impl $crate::encode::Encode for $name {
            fn is_empty(&self) -> bool {
                $( $crate::encode::Encode::is_empty(&self.$field) )&&*
            }

            fn is_omitted(&self) -> bool {
                false
            }

            fn encode(&self, out: &mut $crate::encode::Writer) {
                out.object(|out| {
                    $( {
                        const FIELD: $crate::decode::Field = $crate::decode::Field {
                            $($($k: $v,)*)?
                            ..$crate::decode::Field::BASE
                        };
                        out.member($json, &self.$field, FIELD.always, FIELD.since);
                    } )*
                });
            }
        }

        impl $crate::merge::Item for $name {
            $(
                fn key(&self) -> $crate::merge::Key<'_> {
                    let key: fn(&Self) -> $crate::merge::Key<'_> = $key;
                    key(self)
                }
                $(
                    fn removes(&self) -> bool {
                        let removes: fn(&Self) -> bool = $removes;
                        removes(self)
                    }
                )?
            )?
        }

        impl $crate::merge::Merge for $name {
            fn merge(self, child: Self, cx: &mut $crate::merge::Cx, at: &$crate::merge::Sides<'_>) -> Self {
                $( $before(&self, &child, cx); )?
                Self { $( $field: {
                    const FIELD: $crate::decode::Field = $crate::decode::Field {
                        $($($k: $v,)*)?
                        ..$crate::decode::Field::BASE
                    };
                    $crate::merge::field(self.$field, child.$field, $json, FIELD.append, cx, at)
                }, )* }
            }
        }

        impl $crate::convert::Prune for $name {
            fn is_trivial(&self, _default_on: bool) -> bool {
                $( $crate::convert::Prune::is_trivial(&self.$field, false) )&&*
            }

            fn prune(&mut self, level: u8, losses: &mut $crate::report::Report, at: &$crate::report::At<'_>) {
                $( {
                    const FIELD: $crate::decode::Field = $crate::decode::Field {
                        $($($k: $v,)*)?
                        ..$crate::decode::Field::BASE
                    };
                    let at = at.key($json);
                    if FIELD.known(level) {
                        $crate::convert::Prune::prune(&mut self.$field, level, losses, &at);
                    } else {
                        if !$crate::convert::Prune::is_trivial(&self.$field, FIELD.default_on) {
                            $crate::convert::lose(losses, $json, &at);
                        }
                        self.$field = Default::default();
                    }
                } )*
            }
        }
    )* };
}
pub(crate) use objects;

/// The YAML name of a Rust field: the same, but for `r#type` and the like.
pub(crate) const fn yaml_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}
