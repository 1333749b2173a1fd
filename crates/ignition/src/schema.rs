//! JSON Schemas of everything that is read: one per version and dialect, from the same tables that decode.

use crate::decode::{Decode as _, Field, Shape};
use crate::encode::{Style, Writer};
use crate::version::SpecVersion;
use crate::{v1, v2, v3};

/// What a schema is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// Ignition of a version.
    Ignition(SpecVersion),
    /// Butane of a variant and version.
    #[cfg(feature = "butane")]
    Butane(crate::butane::Target),
    /// Fuze.
    #[cfg(feature = "yaml")]
    Fuze,
    /// Container Linux Config.
    #[cfg(feature = "yaml")]
    Clc,
}

impl Subject {
    /// Reads `3.4.0`, `fcos-1.5.0`, `fuze` or `clc`.
    pub fn parse(text: &str) -> Option<Self> {
        #[cfg(feature = "yaml")]
        match text {
            "fuze" => return Some(Self::Fuze),
            "clc" => return Some(Self::Clc),
            _ => {}
        }
        #[cfg(feature = "butane")]
        if let Some((variant, version)) = text.split_once('-')
            && let Some(target) = crate::butane::Target::find(variant, version)
        {
            return Some(Self::Butane(target));
        }
        SpecVersion::parse(text).map(Self::Ignition)
    }

    fn version(self) -> Option<SpecVersion> {
        match self {
            Self::Ignition(version) => Some(version),
            #[cfg(feature = "yaml")]
            _ => None,
        }
    }
}

/// The schema (draft 2020-12) as JSON.
///
/// ```
/// use ignition::schema::{Subject, schema};
/// let text = schema(Subject::parse("3.4.0").unwrap());
/// assert!(text.contains("\"$schema\": \"https://json-schema.org/draft/2020-12/schema\""));
/// ```
pub fn schema(subject: Subject) -> String {
    let (shape, level, yaml, title) = match subject {
        Subject::Ignition(version) => {
            let shape = match version {
                SpecVersion::V1 => v1::Config::SHAPE,
                SpecVersion::V2(_) => v2::Config::SHAPE,
                SpecVersion::V3(_) => v3::Config::SHAPE,
            };
            (shape, version.minor(), false, format!("Ignition {version}"))
        }
        #[cfg(feature = "butane")]
        Subject::Butane(target) => {
            let title = format!("Butane {} {}", target.variant, target.version());
            (crate::butane::shape(target), target.level, true, title)
        }
        #[cfg(feature = "yaml")]
        Subject::Fuze => (crate::fuze::shape(), 0, true, "Fuze of bootcfg v0.4.0".to_owned()),
        #[cfg(feature = "yaml")]
        Subject::Clc => (crate::clc::shape(), 0, true, "Container Linux Config".to_owned()),
    };
    let mut out = Writer::new(Style { pretty: true, ..Style::TIDY }, 0);
    let generator = Generator { level, yaml, subject };
    out.object(|out| {
        text(out, "$schema", "https://json-schema.org/draft/2020-12/schema");
        text(out, "title", &title);
        generator.inside(out, &shape, true);
    });
    out.text
}

fn text(out: &mut Writer, key: &str, value: &str) {
    out.key(key);
    out.string(value);
}

struct Generator {
    level: u8,
    yaml: bool,
    subject: Subject,
}

impl Generator {
    fn name(&self, field: &Field) -> &'static str {
        if self.yaml { field.yaml } else { field.json }
    }

    fn object(&self, out: &mut Writer, shape: &Shape) {
        out.object(|out| self.inside(out, shape, false));
    }

    fn kind(&self, out: &mut Writer, kind: &str) {
        out.key("type");
        // Everything may be null, which is the same as absent.
        out.list([kind, "null"].into_iter(), |out, kind| out.string(kind));
    }

    fn inside(&self, out: &mut Writer, shape: &Shape, root: bool) {
        match shape {
            Shape::Bool => self.kind(out, "boolean"),
            Shape::Int => self.kind(out, "integer"),
            Shape::String if self.yaml => {
                // YAML's plain scalars are texts where a text is wanted.
                out.key("type");
                out.list(["string", "number", "boolean", "null"].into_iter(), |out, kind| out.string(kind));
            }
            Shape::String => self.kind(out, "string"),
            Shape::List(item) => {
                self.kind(out, "array");
                out.key("items");
                self.object(out, item);
            }
            Shape::Map(value) => {
                self.kind(out, "object");
                out.key("additionalProperties");
                self.object(out, value);
            }
            Shape::Object(name, fields) => {
                if root {
                    text(out, "type", "object")
                } else {
                    self.kind(out, "object")
                }
                out.key("additionalProperties");
                out.raw("false");
                out.key("properties");
                let known = || fields.iter().filter(|field| field.known(self.level));
                out.object(|out| {
                    for field in known() {
                        out.key(self.name(field));
                        out.object(|out| {
                            self.inside(out, &field.shape, false);
                            self.rules(out, name, field);
                        });
                    }
                });
                let required: Vec<&str> = known()
                    .map(|field| self.name(field))
                    .filter(|field| self.required(name, field))
                    .collect();
                if !required.is_empty() {
                    out.key("required");
                    out.list(required.into_iter(), |out, name| out.string(name));
                }
            }
        }
    }

    /// Fields without which the object is refused.
    fn required(&self, object: &str, field: &str) -> bool {
        let v3 = matches!(self.subject, Subject::Ignition(SpecVersion::V3(_)));
        match (object, field) {
            ("Config", "ignition") => !self.yaml,
            ("Config", "ignitionVersion") | ("Plain" | "Fcos" | "OpenShiftConfig", "variant" | "version") => {
                true
            }
            ("Ignition", "version") => !self.yaml,
            ("File" | "Directory" | "Link", "path") | ("Disk" | "Filesystem", "device") => {
                v3 || !matches!(self.subject, Subject::Ignition(_)) && object != "Filesystem"
            }
            ("Unit" | "Dropin", "name") => true,
            ("Raid", "level" | "devices") | ("Luks", "device") | ("Tang", "thumbprint") => v3,
            ("Link", "target") => v3 && self.level >= 3,
            ("Metadata", "name" | "labels") => true,
            ("Tree", "local") => true,
            _ => false,
        }
    }

    /// Rules about one value that a schema can say.
    fn rules(&self, out: &mut Writer, object: &str, field: &Field) {
        let v3 = matches!(self.subject, Subject::Ignition(SpecVersion::V3(_)));
        let one_of = |out: &mut Writer, values: &[&str]| {
            out.key("enum");
            out.list(values.iter().copied().map(Some).chain([None]), |out, value| match value {
                Some(value) => out.string(value),
                None => out.raw("null"),
            });
        };
        match (object, field.json) {
            ("Ignition", "version") if !self.yaml => {
                if let Some(version) = self.subject.version() {
                    text(out, "const", &version.to_string());
                }
            }
            ("File" | "Directory" | "Link", "path") if v3 => {
                text(out, "pattern", "^(/|(/[^/]+)+)$");
            }
            ("File" | "Directory" | "Link" | "Disk", "path" | "device") => text(out, "pattern", "^/"),
            ("File" | "Directory", "mode") => {
                out.key("minimum");
                out.raw("0");
                out.key("maximum");
                out.raw("4095");
            }
            ("Resource" | "FileContents" | "Remote", "compression") => one_of(out, &["", "gzip"]),
            ("Filesystem" | "Mount", "format") if v3 => {
                let mut formats = vec!["", "ext4", "btrfs", "xfs", "vfat", "swap"];
                formats.extend((self.level >= 3).then_some("none"));
                formats.extend((self.level >= 7).then_some("virtiofs"));
                one_of(out, &formats);
            }
            ("Raid", "level") => one_of(
                out,
                &[
                    "linear", "raid0", "0", "stripe", "raid1", "1", "mirror", "raid4", "4", "raid5", "5",
                    "raid6", "6", "raid10", "10",
                ],
            ),
            ("Unit", "name") => text(
                out,
                "pattern",
                "\\.(service|socket|device|mount|automount|swap|target|path|timer|snapshot|slice|scope)$",
            ),
            ("Dropin", "name") => text(out, "pattern", "\\.conf$"),
            ("Partition", "label") if v3 => {
                out.key("maxLength");
                out.raw("36");
            }
            ("Partition", "guid" | "typeGuid") if v3 => text(
                out,
                "pattern",
                "^(|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})$",
            ),
            ("Verification", "hash") if v3 => {
                let sha256 = if self.level >= 1 { "|sha256-.{64}" } else { "" };
                text(out, "pattern", &format!("^(sha512-.{{128}}{sha256})$"));
            }
            ("Luks", "name") if v3 => text(out, "pattern", "^[^/]*$"),
            _ => {}
        }
    }
}
