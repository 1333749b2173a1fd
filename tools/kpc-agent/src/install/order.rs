//! What the server says about this boot's order (`POST /v1/claim`). Pure; every field is checked before it is used.

use serde_json::Value;

use crate::install::rule::{Choice, Rule};

/// What to install, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Order {
    /// The machine's name.
    pub(crate) name: String,
    /// Where the image is.
    pub(crate) image: String,
    /// `raw`, `gzip`, `xz`, `zstd` or `auto`.
    pub(crate) format: String,
    /// SHA-256 of the image as it is served, lower case.
    pub(crate) sha256: String,
    /// Its length as it is served, where the server knows.
    pub(crate) octets: Option<u64>,
    /// Which disk.
    pub(crate) disk: Choice,
    /// The disk whose data is given up.
    pub(crate) wipe: Option<String>,
    /// Whether the disk becomes the first entry of UEFI's boot order.
    pub(crate) disk_first: bool,
    /// What the installed system is to be told.
    pub(crate) user_data: UserData,
}

/// The configuration of the installed system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum UserData {
    /// None.
    Nothing,
    /// cloud-init's NoCloud: the user data's URL, the meta data as text.
    NoCloud { url: String, meta_data: String },
    /// An Ignition config's URL.
    Ignition { url: String },
}

impl Order {
    /// Reads the answer; the error names the field.
    pub(crate) fn parse(answer: &Value) -> Result<Self, String> {
        let install = match answer.get("install") {
            None | Some(Value::Null) => {
                return Err("the server has nothing to install under this claim".to_owned());
            }
            Some(install) => install,
        };
        let image = text(install, "image")?;
        let sha256 = text(install, "sha256")?.to_ascii_lowercase();
        if sha256.len() != 64 || !sha256.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return Err(
                "`sha256` is no digest: an image is written only when its octets are known".to_owned()
            );
        }
        let disk = install.get("disk").unwrap_or(&Value::Null);
        let wipe = optional(install, "wipe");
        let rule = optional(disk, "rule").unwrap_or_else(|| "only".to_owned());
        // Data given up names the disk too.
        let serial = optional(disk, "serial").or_else(|| wipe.clone());
        let disk = match serial {
            Some(serial) => Choice::Serial(serial),
            None => Choice::Rule {
                rule: Rule::parse(&rule)?,
                min_octets: disk.get("min_octets").and_then(Value::as_u64).unwrap_or(0),
            },
        };
        let disk_first = match optional(install, "boot_order").as_deref() {
            None | Some("disk") => true,
            Some("keep") => false,
            Some(other) => return Err(format!("`boot_order`: {other} is neither disk nor keep")),
        };
        Ok(Self {
            name: optional(answer, "name").unwrap_or_default(),
            image,
            format: optional(install, "format").unwrap_or_else(|| "auto".to_owned()),
            sha256,
            octets: install.get("octets").and_then(Value::as_u64),
            disk,
            wipe,
            disk_first,
            user_data: user_data(install.get("user_data"))?,
        })
    }
}

fn user_data(given: Option<&Value>) -> Result<UserData, String> {
    let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(UserData::Nothing) };
    match text(given, "kind")?.as_str() {
        "none" => Ok(UserData::Nothing),
        "nocloud" => Ok(UserData::NoCloud {
            url: text(given, "url")?,
            meta_data: optional(given, "meta_data").unwrap_or_default(),
        }),
        "ignition" => Ok(UserData::Ignition { url: text(given, "url")? }),
        other => Err(format!("`user_data`: kind {other} is not known here")),
    }
}

fn text(from: &Value, field: &str) -> Result<String, String> {
    optional(from, field).ok_or_else(|| format!("the server's answer has no `{field}`"))
}

fn optional(from: &Value, field: &str) -> Option<String> {
    from.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({ "name": "kpc-01", "order": 7, "role": "install", "install": {
            "image": "http://a/i.raw.zst", "format": "zstd", "sha256": "AB".repeat(32), "octets": 9,
            "disk": { "serial": null, "rule": "smallest-ssd", "min_octets": 5 }, "wipe": null, "boot_order": "keep",
            "user_data": { "kind": "nocloud", "url": "http://a/c", "meta_data": "instance-id: x\n" } } })
    }

    #[test]
    fn all_fields() {
        let order = Order::parse(&answer()).unwrap();
        assert_eq!((order.name.as_str(), order.octets, order.disk_first), ("kpc-01", Some(9), false));
        assert_eq!(order.sha256, "ab".repeat(32));
        let rule = Rule::parse("smallest-ssd").unwrap();
        assert_eq!(order.disk, Choice::Rule { rule, min_octets: 5 });
        assert!(matches!(order.user_data, UserData::NoCloud { .. }));
    }

    #[test]
    fn data_given_up_names_the_disk() {
        let mut answer = answer();
        answer["install"]["wipe"] = json!("S1");
        assert_eq!(Order::parse(&answer).unwrap().disk, Choice::Serial("S1".into()));
        answer["install"]["disk"]["serial"] = json!("S2");
        assert_eq!(Order::parse(&answer).unwrap().disk, Choice::Serial("S2".into()));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (field, value) in [
            ("sha256", json!("12")),
            ("image", json!(null)),
            ("boot_order", json!("cd")),
            ("user_data", json!({})),
        ] {
            let mut answer = answer();
            answer["install"][field] = value;
            assert!(Order::parse(&answer).is_err(), "{field}");
        }
        assert!(Order::parse(&json!({ "install": null })).unwrap_err().contains("nothing to install"));
    }
}
