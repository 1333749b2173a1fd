//! Between messages, the store's types, and the JSON that is written.

use tonic::Status;

use super::rpcpb;
use crate::compat::Compat;
use crate::gojson::{self, Object};
use crate::group::Group;
use crate::profile::Profile;

/// A group as a message.
pub(super) fn group_message(group: &Group) -> rpcpb::Group {
    let selector = group.selector.iter().map(|(key, values)| (key.to_string(), values.join("|"))).collect();
    let metadata = group.metadata();
    let mut octets = Vec::new();
    if !metadata.is_empty() {
        gojson::value(&mut octets, &serde_json::Value::Object(metadata));
    }
    rpcpb::Group {
        id: group.id().to_string(),
        name: group.name().to_string(),
        profile: group.profile().to_string(),
        selector,
        metadata: octets,
    }
}

/// A profile as a message; each mode shows the arguments it knows.
pub(super) fn profile_message(profile: &Profile, compat: Compat) -> rpcpb::Profile {
    let strings = |items: &[Box<str>]| items.iter().map(ToString::to_string).collect();
    let boot = profile.boot.as_ref().map(|boot| rpcpb::NetBoot {
        kernel: boot.kernel.to_string(),
        initrd: strings(&boot.initrd),
        cmdline: if compat == Compat::Matchbox {
            Default::default()
        } else {
            boot.cmdline.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        },
        args: if compat == Compat::Bootcfg040 { Vec::new() } else { strings(&boot.args) },
    });
    rpcpb::Profile {
        id: profile.id.to_string(),
        name: profile.name.to_string(),
        ignition_id: profile.ignition_id.to_string(),
        cloud_id: profile.cloud_id.to_string(),
        generic_id: profile.generic_id.to_string(),
        boot,
    }
}

/// The text of a group's file, as matchbox writes it. Refuses what could not be read back.
pub(super) fn group_file(group: &rpcpb::Group, compat: Compat) -> Result<Vec<u8>, Status> {
    let refuse = |text: &str| match compat {
        Compat::Strict => Status::invalid_argument(text),
        _ => Status::unknown(text),
    };
    if group.id.is_empty() {
        return Err(refuse("Id is required"));
    }
    if group.profile.is_empty() {
        return Err(refuse("Group requires a Profile"));
    }
    let metadata = if group.metadata.is_empty() {
        None
    } else {
        let node =
            crate::json::parse(&group.metadata).map_err(|error| refuse(&format!("metadata: {error}")))?;
        match node.into_value() {
            serde_json::Value::Null => None,
            value @ serde_json::Value::Object(_) => Some(value),
            _ => return Err(refuse("metadata must be a JSON object")),
        }
    };
    let mut text = Vec::new();
    let mut object = Object::new(&mut text);
    for (key, value) in [("id", &group.id), ("name", &group.name), ("profile", &group.profile)] {
        if !value.is_empty() {
            object.field(key, |out| gojson::string(out, value));
        }
    }
    if !group.selector.is_empty() {
        object.field("selector", |out| pairs(out, &group.selector));
    }
    if let Some(metadata) =
        metadata.filter(|metadata| metadata.as_object().is_some_and(|map| !map.is_empty()))
    {
        object.field("metadata", |out| gojson::value(out, &metadata));
    }
    object.end();
    let text = gojson::indented(&text);
    // An invalid `mac` would make a group that nobody can read: matchbox writes it all the same.
    Group::parse("groups/new.json", &text, compat)
        .map_err(|error| Status::invalid_argument(error.message))
        .map(|_| text)
}

/// The text of a profile's file, as matchbox writes it.
pub(super) fn profile_file(profile: &rpcpb::Profile, compat: Compat) -> Result<Vec<u8>, Status> {
    if profile.id.is_empty() {
        let text = "Id is required";
        return Err(if compat.is_strict() { Status::invalid_argument(text) } else { Status::unknown(text) });
    }
    let mut text = Vec::new();
    let mut object = Object::new(&mut text);
    let fields = [
        ("id", &profile.id),
        ("name", &profile.name),
        ("ignition_id", &profile.ignition_id),
        ("cloud_id", &profile.cloud_id),
        ("generic_id", &profile.generic_id),
    ];
    for (key, value) in fields {
        if !value.is_empty() {
            object.field(key, |out| gojson::string(out, value));
        }
    }
    if let Some(boot) = &profile.boot {
        object.field("boot", |out| boot_file(out, boot));
    }
    object.end();
    Ok(gojson::indented(&text))
}

fn boot_file(out: &mut Vec<u8>, boot: &rpcpb::NetBoot) {
    let mut object = Object::new(out);
    let strings = |items: &[String]| items.iter().map(|item| item.as_str().into()).collect::<Vec<Box<str>>>();
    if !boot.kernel.is_empty() {
        object.field("kernel", |out| gojson::string(out, &boot.kernel));
    }
    if !boot.initrd.is_empty() {
        object.field("initrd", |out| gojson::strings(out, &strings(&boot.initrd)));
    }
    if !boot.cmdline.is_empty() {
        object.field("cmdline", |out| pairs(out, &boot.cmdline));
    }
    if !boot.args.is_empty() {
        object.field("args", |out| gojson::strings(out, &strings(&boot.args)));
    }
    object.end();
}

fn pairs(out: &mut Vec<u8>, map: &std::collections::HashMap<String, String>) {
    let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
    let mut object = Object::new(out);
    for (key, value) in sorted {
        object.field(key, |out| gojson::string(out, value));
    }
    object.end();
}

/// Only for tests of the round trip.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::NetBoot;

    #[test]
    fn a_group_survives_its_file() {
        let group = rpcpb::Group {
            id: "node1".into(),
            name: "N".into(),
            profile: "web".into(),
            selector: [("os".to_string(), "installed".to_string())].into(),
            metadata: br#"{"n":1.50,"b":[true,null],"a":{"x":"<&>"}}"#.to_vec(),
        };
        let text = group_file(&group, Compat::Matchbox).unwrap();
        let shown = String::from_utf8(text.clone()).unwrap();
        assert!(shown.starts_with("{\n\t\"id\": \"node1\",\n\t\"name\": \"N\",\n"), "{shown}");
        let read = Group::parse("groups/node1.json", &text, Compat::Matchbox).unwrap();
        let want = rpcpb::Group {
            metadata: br#"{"a":{"x":"\u003c\u0026\u003e"},"b":[true,null],"n":1.5}"#.to_vec(),
            ..group
        };
        assert_eq!(group_message(&read), want);
    }

    #[test]
    fn what_could_not_be_read_back_is_refused() {
        let group = |mac: &str| rpcpb::Group {
            id: "a".into(),
            profile: "p".into(),
            selector: [("mac".to_string(), mac.to_string())].into(),
            ..rpcpb::Group::default()
        };
        assert!(group_file(&group("52-54-00-AA-BB-CC"), Compat::Matchbox).is_ok());
        assert_eq!(
            group_file(&group("x"), Compat::Matchbox).unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }

    #[test]
    fn a_profile_survives_its_file() {
        let boot = NetBoot { kernel: "/k".into(), args: vec!["a".into()], ..NetBoot::default() };
        let profile = Profile { id: "p".into(), boot: Some(boot), ..Profile::default() };
        let message = profile_message(&profile, Compat::Strict);
        let text = profile_file(&message, Compat::Strict).unwrap();
        assert_eq!(Profile::parse("", &text, Compat::Strict).unwrap(), profile);
    }
}
