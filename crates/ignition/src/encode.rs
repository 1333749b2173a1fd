//! From typed objects to JSON, with the octets Go's `encoding/json` writes.

/// How empty things and HTML characters are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Style {
    /// Empty objects that Go's `omitempty` keeps (it never drops a struct) are written.
    pub empty_objects: bool,
    /// `<`, `>` and `&` become `\u003c`, `\u003e` and `\u0026`.
    pub html_escapes: bool,
    /// Two blanks per level and a newline between members.
    pub pretty: bool,
}

impl Style {
    /// What Go's `json.Marshal` does.
    pub const GO: Self = Self { empty_objects: true, html_escapes: true, pretty: false };
    /// Short: no empty objects, no superfluous escapes.
    pub const TIDY: Self = Self { empty_objects: false, html_escapes: false, pretty: false };
}

/// A value with a JSON form.
pub(crate) trait Encode {
    /// Nothing would be lost by leaving the value out.
    fn is_empty(&self) -> bool;
    /// Go's `omitempty` leaves it out.
    fn is_omitted(&self) -> bool {
        self.is_empty()
    }
    fn encode(&self, out: &mut Writer);
}

/// Collects JSON text.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) text: String,
    style: Style,
    /// Minor version written: empty objects of later versions are not.
    level: u8,
    depth: usize,
    first: bool,
}

impl Writer {
    pub(crate) fn new(style: Style, level: u8) -> Self {
        Self { style, level, ..Self::default() }
    }

    /// Makes room for what is likely to be written, at once.
    #[cfg(feature = "yaml")]
    pub(crate) fn expect(mut self, octets: usize) -> Self {
        self.text.reserve_exact(octets);
        self
    }

    fn line(&mut self) {
        if self.style.pretty {
            self.text.push('\n');
            (0..self.depth).for_each(|_| self.text.push_str("  "));
        }
    }

    fn container(&mut self, open: char, close: char, inside: impl FnOnce(&mut Self)) {
        self.text.push(open);
        let outer = std::mem::replace(&mut self.first, true);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        if !self.first {
            self.line();
        }
        self.first = outer;
        self.text.push(close);
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.text.push(',');
        }
        self.line();
    }

    pub(crate) fn object(&mut self, inside: impl FnOnce(&mut Self)) {
        self.container('{', '}', inside);
    }

    pub(crate) fn list<T>(&mut self, items: impl Iterator<Item = T>, mut each: impl FnMut(&mut Self, T)) {
        self.container('[', ']', |out| {
            for item in items {
                out.separate();
                each(out, item);
            }
        });
    }

    pub(crate) fn key(&mut self, name: &str) {
        self.separate();
        self.string(name);
        self.text.push(':');
        if self.style.pretty {
            self.text.push(' ');
        }
    }

    /// Writes a member unless its value is to be left out.
    pub(crate) fn member<T: Encode>(&mut self, name: &str, value: &T, always: bool, since: u8) {
        let kept = self.style.empty_objects && since <= self.level;
        let omit = if kept { value.is_omitted() } else { value.is_empty() };
        if always || !omit {
            self.key(name);
            value.encode(self);
        }
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.text.push('"');
        let mut from = 0;
        for (at, byte) in value.bytes().enumerate() {
            let html = self.style.html_escapes && matches!(byte, b'<' | b'>' | b'&');
            // U+2028 and U+2029 are E2 80 A8 and E2 80 A9
            let separator =
                byte == 0xE2 && matches!(value.as_bytes().get(at..at + 3), Some([0xE2, 0x80, 0xA8 | 0xA9]));
            if byte >= 0x20 && byte != b'"' && byte != b'\\' && !html && !separator {
                continue;
            }
            self.text.push_str(value.get(from..at).unwrap_or_default());
            from = at + if separator { 3 } else { 1 };
            match byte {
                b'"' => self.text.push_str("\\\""),
                b'\\' => self.text.push_str("\\\\"),
                b'\n' => self.text.push_str("\\n"),
                b'\r' => self.text.push_str("\\r"),
                b'\t' => self.text.push_str("\\t"),
                0x8 => self.text.push_str("\\b"),
                0xC => self.text.push_str("\\f"),
                0xE2 => {
                    let last = value.as_bytes().get(at + 2).copied().unwrap_or_default();
                    self.text.push_str(if last == 0xA8 { "\\u2028" } else { "\\u2029" });
                }
                _ => {
                    self.text.push_str("\\u00");
                    for digit in [byte >> 4, byte & 15] {
                        self.text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                    }
                }
            }
        }
        self.text.push_str(value.get(from..).unwrap_or_default());
        self.text.push('"');
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }
}

impl Encode for bool {
    fn is_empty(&self) -> bool {
        !*self
    }

    fn encode(&self, out: &mut Writer) {
        out.raw(if *self { "true" } else { "false" });
    }
}

impl Encode for i64 {
    fn is_empty(&self) -> bool {
        *self == 0
    }

    fn encode(&self, out: &mut Writer) {
        out.raw(&self.to_string());
    }
}

impl Encode for u64 {
    fn is_empty(&self) -> bool {
        *self == 0
    }

    fn encode(&self, out: &mut Writer) {
        out.raw(&self.to_string());
    }
}

impl Encode for String {
    fn is_empty(&self) -> bool {
        String::is_empty(self)
    }

    fn encode(&self, out: &mut Writer) {
        out.string(self);
    }
}

impl<T: Encode> Encode for Option<T> {
    fn is_empty(&self) -> bool {
        self.is_none()
    }

    fn encode(&self, out: &mut Writer) {
        match self {
            Some(value) => value.encode(out),
            None => out.raw("null"),
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }

    fn encode(&self, out: &mut Writer) {
        out.list(self.iter(), |out, item| item.encode(out));
    }
}
