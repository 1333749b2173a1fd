//! A profile: what a machine boots and which templates it gets. Decoded from `profiles/*.json`.

use crate::compat::Compat;
use crate::group::{file_id, set_string};
use crate::json::{self, Json, JsonError, Node, is_key};

/// One profile file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    /// The file's `id`; may differ from the file's name but not be empty.
    pub id: Box<str>,
    /// A name for people.
    pub name: Box<str>,
    /// The template below `ignition/`; empty for none.
    pub ignition_id: Box<str>,
    /// The template below `cloud/`; empty for none.
    pub cloud_id: Box<str>,
    /// The template below `generic/`; empty for none.
    pub generic_id: Box<str>,
    /// Kernel, initrd and arguments; without it there is nothing to boot.
    pub boot: Option<NetBoot>,
    /// `profiles/x.json`.
    pub file: Box<str>,
}

/// What iPXE or GRUB loads.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NetBoot {
    /// Path or URL of the kernel.
    pub kernel: Box<str>,
    /// Paths or URLs of initial RAM disks, in order.
    pub initrd: Vec<Box<str>>,
    /// Kernel arguments as matchbox has them: a list, in order.
    pub args: Vec<Box<str>>,
    /// Kernel arguments as bootcfg v0.4.0 has them: a map; sorted by key, an empty value stands for the bare key.
    pub cmdline: Vec<(Box<str>, Box<str>)>,
}

impl Profile {
    /// Decodes a profile as Go would. `args` is read by matchbox, `cmdline` by bootcfg v0.4.0, both in strict mode.
    ///
    /// # Errors
    /// The place and the reason, for the first thing that is wrong.
    pub fn parse(file: &str, text: &[u8], compat: Compat) -> Result<Self, JsonError> {
        let root = json::parse(text)?;
        let start = root.at;
        let wrong = |at, message| json::error_at(text, at, message);
        let mut profile = Self { file: file.into(), ..Self::default() };
        let Json::Object(pairs) = root.value else { return Err(wrong(start, "a profile must be an object")) };
        for (key, node) in pairs {
            let at = node.at;
            let fields: [(&str, &mut Box<str>); 5] = [
                ("id", &mut profile.id),
                ("name", &mut profile.name),
                ("ignition_id", &mut profile.ignition_id),
                ("cloud_id", &mut profile.cloud_id),
                ("generic_id", &mut profile.generic_id),
            ];
            if let Some((_, field)) = fields.into_iter().find(|(name, _)| is_key(&key, name)) {
                set_string(field, node).ok_or_else(|| wrong(at, "this must be a string"))?;
            } else if is_key(&key, "boot") {
                match node.value {
                    Json::Null => profile.boot = None,
                    Json::Object(pairs) => {
                        let boot = profile.boot.get_or_insert_default();
                        boot.merge(pairs, compat).map_err(|(at, message)| wrong(at, message))?;
                    }
                    _ => return Err(wrong(at, "`boot` must be an object")),
                }
            } else if compat.is_strict() {
                return Err(wrong(
                    at,
                    "no such key in a profile (id, name, boot, ignition_id, generic_id, cloud_id): correct or remove it",
                ));
            }
        }
        if profile.id.is_empty() {
            return Err(wrong(start, "the profile needs an `id`"));
        }
        Ok(profile)
    }

    /// The file's name without folder and `.json`: how groups and the API call the profile.
    pub fn file_id(&self) -> &str {
        file_id(&self.file, "profiles/")
    }

    /// The templates this profile names, as cleaned paths below the data folder.
    pub fn template_paths(&self) -> impl Iterator<Item = String> {
        [("ignition", &self.ignition_id), ("cloud", &self.cloud_id), ("generic", &self.generic_id)]
            .into_iter()
            .filter(|(_, id)| !id.is_empty())
            .map(|(folder, id)| crate::path::join(folder, id))
    }
}

impl NetBoot {
    /// The kernel arguments this mode renders: matchbox its list, v0.4.0 its map, strict the map and then the list.
    pub fn arguments(&self, compat: Compat) -> impl Iterator<Item = String> {
        let map = if compat == Compat::Matchbox { &[][..] } else { &self.cmdline };
        let list = if compat == Compat::Bootcfg040 { &[][..] } else { &self.args };
        let map = map.iter().map(|(key, value)| match value.is_empty() {
            true => key.to_string(),
            false => format!("{key}={value}"),
        });
        map.chain(list.iter().map(ToString::to_string))
    }

    fn merge(&mut self, pairs: Vec<(String, Node)>, compat: Compat) -> Result<(), (usize, &'static str)> {
        for (key, node) in pairs {
            let at = node.at;
            if is_key(&key, "kernel") {
                set_string(&mut self.kernel, node).ok_or((at, "`kernel` must be a string"))?;
            } else if is_key(&key, "initrd") {
                self.initrd = strings(node).ok_or((at, "`initrd` must be a list of strings"))?;
            } else if is_key(&key, "args") && compat != Compat::Bootcfg040 {
                self.args = strings(node).ok_or((at, "`args` must be a list of strings"))?;
            } else if is_key(&key, "cmdline") && compat != Compat::Matchbox {
                self.merge_cmdline(node).ok_or((at, "`cmdline` must be an object of strings"))?;
            } else if compat.is_strict() {
                return Err((
                    at,
                    "no such key in `boot` (kernel, initrd, args, cmdline): correct or remove it",
                ));
            }
        }
        Ok(())
    }

    fn merge_cmdline(&mut self, node: Node) -> Option<()> {
        let pairs = match node.value {
            Json::Null => {
                return {
                    self.cmdline.clear();
                    Some(())
                };
            }
            Json::Object(pairs) => pairs,
            _ => return None,
        };
        for (key, node) in pairs {
            let mut value = Box::default();
            set_string(&mut value, node)?;
            self.cmdline.retain(|(old, _)| **old != *key);
            self.cmdline.push((key.into(), value));
        }
        self.cmdline.sort();
        Some(())
    }
}

fn strings(node: Node) -> Option<Vec<Box<str>>> {
    match node.value {
        Json::Null => Some(Vec::new()),
        Json::List(items) => {
            let each = items.into_iter().map(|item| {
                let mut text = Box::default();
                set_string(&mut text, item).map(|()| text)
            });
            each.collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[u8] =
        br#"{"Id":"c","boot":{"kernel":"/k","initrd":["i"],"cmdline":{"b":"1","a":""},"args":["z"]}}"#;

    #[test]
    fn each_mode_reads_its_own_arguments() {
        for (compat, want) in
            [(Compat::Matchbox, "z"), (Compat::Bootcfg040, "a b=1"), (Compat::Strict, "a b=1 z")]
        {
            let boot = Profile::parse("profiles/p.json", BOTH, compat).unwrap().boot.unwrap();
            assert_eq!(boot.arguments(compat).collect::<Vec<_>>().join(" "), want);
        }
    }

    #[test]
    fn what_another_mode_would_refuse_is_skipped() {
        let text = br#"{"id":"n","boot":{"kernel":"k","args":"notalist"}}"#;
        assert!(Profile::parse("profiles/p.json", text, Compat::Bootcfg040).is_ok());
        assert_eq!(Profile::parse("profiles/p.json", text, Compat::Matchbox).unwrap_err().column, 39);
        let text = br#"{"id":"n","genericId":"x"}"#;
        assert_eq!(&*Profile::parse("p", text, Compat::Matchbox).unwrap().generic_id, "");
        assert!(Profile::parse("p", text, Compat::Strict).is_err());
    }

    #[test]
    fn a_profile_without_id_is_none() {
        assert!(Profile::parse("p", br#"{"name":"x"}"#, Compat::Matchbox).is_err());
        assert!(Profile::parse("p", br#"{"id":"n","boot":null}"#, Compat::Matchbox).unwrap().boot.is_none());
    }
}
