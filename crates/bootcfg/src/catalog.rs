//! An immutable snapshot of a store: every group, profile and template, and the index that finds a group without
//! looking at the others. Made by a driver from files, read by every request.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::compat::Compat;
use crate::fault::{Fault, Reason};
use crate::group::{Group, salvage_selector};
use crate::groups::Groups;
use crate::json::JsonError;
use crate::labels::Labels;
use crate::path;
use crate::profile::Profile;
use crate::selector::Selector;
use crate::template::TemplateFile;

/// One file of the store, decoded. Snapshots share entries, so that a reload decodes only what changed.
#[derive(Clone, Debug)]
pub enum Entry {
    /// `groups/*.json`.
    Group(Arc<Group>),
    /// `profiles/*.json`.
    Profile(Arc<Profile>),
    /// Any other file: a template.
    Template(Arc<TemplateFile>),
    /// A group or profile that does not parse.
    Broken(Arc<Broken>),
}

impl Entry {
    /// Decodes a file by its place: `groups/x.json` and `profiles/x.json` are JSON, anything else is a template.
    /// `None` for a file that matchbox does not look at (`groups/notes.txt`, `groups/sub/x.json`).
    pub fn parse(file: &str, text: &Bytes, compat: Compat) -> Option<Self> {
        if let Some(name) = file.strip_prefix("groups/") {
            if name.contains('/') || !name.ends_with(".json") {
                return None;
            }
            return Some(match Group::parse(file, text, compat) {
                Ok(group) => Self::Group(Arc::new(group)),
                Err(error) => Self::Broken(Arc::new(Broken::group(file, text, error, compat))),
            });
        }
        if file.starts_with("profiles/") {
            if !file.ends_with(".json") {
                return None;
            }
            return Some(match Profile::parse(file, text, compat) {
                Ok(profile) => Self::Profile(Arc::new(profile)),
                Err(error) => Self::Broken(Arc::new(Broken { file: file.into(), error, selector: None })),
            });
        }
        Some(Self::Template(Arc::new(TemplateFile::new(file, text.clone()))))
    }
}

/// A group or profile file that does not parse.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The file, relative to the data folder.
    pub file: Box<str>,
    /// Where and why.
    pub error: JsonError,
    /// What the group certainly demands, if that could be read; `None` if any machine may be meant.
    pub selector: Option<Selector>,
}

impl Broken {
    fn group(file: &str, text: &[u8], error: JsonError, compat: Compat) -> Self {
        Self { file: file.into(), error, selector: salvage_selector(text, compat) }
    }

    /// A group or profile that is there and cannot be read at all.
    pub fn unreadable(file: &str, message: &'static str) -> Self {
        Self { file: file.into(), error: JsonError { line: 0, column: 0, message }, selector: None }
    }

    /// As a fault of this reason.
    pub fn fault(&self, reason: Reason) -> Fault {
        Fault::new(reason, self.error.message).at(&self.file, self.error.line, self.error.column)
    }

    fn may_outrank(&self, winner: Option<&Group>, labels: &Labels) -> bool {
        let Some(selector) = &self.selector else { return true };
        selector.matches(labels) && winner.is_none_or(|winner| selector.precedence(&winner.selector).is_le())
    }
}

/// What selecting gave.
#[derive(Clone, Debug)]
pub enum Selection<'a> {
    /// The group, and its profile or why there is none.
    Group {
        /// The first match in order of precedence.
        group: &'a Group,
        /// The group's profile.
        profile: Result<&'a Profile, Fault>,
    },
    /// No group matches.
    NoGroup,
    /// Strict mode: this file does not parse and might have gone first.
    Broken(&'a Broken),
}

/// A snapshot of a store. Cheap to share (`Arc`), never changed.
///
/// ```
/// use bootcfg::{Catalog, Compat, Labels, Selection};
/// let catalog = Catalog::from_files(Compat::Matchbox, [
///     ("groups/node.json", r#"{"id":"n","profile":"p","selector":{"mac":"52:54:00:00:00:01"}}"#),
///     ("profiles/p.json", r#"{"id":"p","boot":{"kernel":"/assets/vmlinuz"}}"#),
/// ]);
/// let labels = Labels::from_query(b"mac=52-54-00-00-00-01", Compat::Matchbox);
/// let Selection::Group { group, profile } = catalog.select(&labels) else { panic!() };
/// assert_eq!((group.file_id(), profile.unwrap().file_id()), ("node", "p"));
/// ```
#[derive(Debug, Default)]
pub struct Catalog {
    compat: Compat,
    groups: Groups,
    profiles: Arc<ByPath<Result<Arc<Profile>, Arc<Broken>>>>,
    templates: Arc<ByPath<Arc<TemplateFile>>>,
    outside: ByPath<Arc<TemplateFile>>, // templates that are no templates by their place
    broken_groups: Vec<Arc<Broken>>,
}

/// Files by their cleaned paths.
type ByPath<T> = BTreeMap<Box<str>, T>;

impl Catalog {
    /// Builds a snapshot from file names (relative, `/` between parts) and their octets.
    pub fn from_files<N: AsRef<str>, T: AsRef<[u8]>>(
        compat: Compat,
        files: impl IntoIterator<Item = (N, T)>,
    ) -> Self {
        let files: Vec<(String, Bytes)> = files
            .into_iter()
            .map(|(name, text)| (path::clean(name.as_ref()), Bytes::copy_from_slice(text.as_ref())))
            .collect();
        let entries = files.iter().filter_map(|(name, text)| Entry::parse(name, text, compat)).collect();
        let mut catalog = Self::from_entries(compat, entries);
        let missing = catalog.missing_templates();
        for (name, text) in files.into_iter().filter(|(name, _)| missing.contains(name)) {
            catalog.add_template(Arc::new(TemplateFile::new(&name, text)));
        }
        catalog
    }

    /// Builds a snapshot from decoded files.
    pub fn from_entries(compat: Compat, entries: Vec<Entry>) -> Self {
        let (mut groups, mut broken_groups) = (Vec::new(), Vec::new());
        let (mut profiles, mut templates) = (ByPath::new(), ByPath::new());
        for entry in entries {
            match entry {
                Entry::Group(group) => groups.push(group),
                Entry::Profile(profile) => _ = profiles.insert(profile.file.clone(), Ok(profile)),
                Entry::Template(template) => _ = templates.insert(template.file().into(), template),
                Entry::Broken(broken) if broken.file.starts_with("groups/") => broken_groups.push(broken),
                Entry::Broken(broken) => _ = profiles.insert(broken.file.clone(), Err(broken)),
            }
        }
        broken_groups.sort_by(|a, b| a.file.cmp(&b.file));
        Self {
            compat,
            groups: Groups::new(groups),
            profiles: Arc::new(profiles),
            templates: Arc::new(templates),
            outside: ByPath::new(),
            broken_groups,
        }
    }

    /// This snapshot with some files changed: what is there now by path, or `None` where nothing is. Costs by what has
    /// changed, and by the number of profiles or templates if one of those has; not by the number of groups.
    ///
    /// Files added by [`Self::add_template`] are not taken over.
    #[must_use]
    pub fn with_changes<'a>(&self, changes: impl IntoIterator<Item = (&'a str, Option<Entry>)>) -> Self {
        let mut next = Self {
            compat: self.compat,
            groups: self.groups.clone(),
            profiles: self.profiles.clone(),
            templates: self.templates.clone(),
            outside: ByPath::new(),
            broken_groups: self.broken_groups.clone(),
        };
        let mut groups = BTreeMap::new();
        for (file, entry) in changes {
            if file.starts_with("groups/") {
                next.broken_groups.retain(|broken| *broken.file != *file);
                if let Some(Entry::Broken(broken)) = &entry {
                    next.broken_groups.push(broken.clone());
                }
                groups.insert(
                    file,
                    match entry {
                        Some(Entry::Group(group)) => Some(group),
                        _ => None,
                    },
                );
            } else if file.starts_with("profiles/") {
                let profiles = Arc::make_mut(&mut next.profiles);
                match entry {
                    Some(Entry::Profile(profile)) => _ = profiles.insert(file.into(), Ok(profile)),
                    Some(Entry::Broken(broken)) => _ = profiles.insert(file.into(), Err(broken)),
                    _ => _ = profiles.remove(file),
                }
            } else {
                let templates = Arc::make_mut(&mut next.templates);
                match entry {
                    Some(Entry::Template(template)) => _ = templates.insert(file.into(), template),
                    _ => _ = templates.remove(file),
                }
            }
        }
        next.broken_groups.sort_by(|a, b| a.file.cmp(&b.file));
        if !groups.is_empty() {
            next.groups.edit(&groups);
        }
        next
    }

    /// Adds a file that a profile names outside the template folders.
    pub fn add_template(&mut self, template: Arc<TemplateFile>) {
        self.outside.insert(template.file().into(), template);
    }

    /// The templates that profiles name and that are not here, as cleaned paths.
    pub fn missing_templates(&self) -> Vec<String> {
        let profiles = self.profiles.values().filter_map(|profile| profile.as_ref().ok());
        let mut missing: Vec<_> = profiles
            .flat_map(|profile| profile.template_paths())
            .filter(|file| self.template(file).is_none())
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// The mode this snapshot was decoded for.
    pub fn compat(&self) -> Compat {
        self.compat
    }

    /// The group for these labels and its profile. Cost depends on the labels, not on the number of groups.
    pub fn select(&self, labels: &Labels) -> Selection<'_> {
        let group = self.groups.select(labels);
        if self.compat.is_strict()
            && let Some(broken) = self.broken_groups.iter().find(|broken| broken.may_outrank(group, labels))
        {
            return Selection::Broken(broken);
        }
        match group {
            Some(group) => Selection::Group { group, profile: self.profile_of(group) },
            None => Selection::NoGroup,
        }
    }

    /// The profile a group names, or why it cannot be had.
    ///
    /// # Errors
    /// No name, no such file, or a file that does not parse.
    pub fn profile_of(&self, group: &Group) -> Result<&Profile, Fault> {
        let at = |fault: Fault| if group.file().is_empty() { fault } else { fault.at(group.file(), 0, 0) };
        if group.profile().is_empty() {
            return Err(at(Fault::new(Reason::NoProfile, "the group names no profile")));
        }
        match self.profiles.get(profile_path(group.profile()).as_str()) {
            Some(Ok(profile)) => Ok(profile),
            Some(Err(broken)) => Err(broken.fault(Reason::ProfileBroken)),
            None => {
                let detail = format!(
                    "the group's profile `{}` has no file in profiles/: add it or correct the name",
                    group.profile()
                );
                Err(at(Fault::new(Reason::ProfileMissing, detail)))
            }
        }
    }

    /// A profile by its file name without `.json`.
    pub fn profile(&self, id: &str) -> Option<&Profile> {
        self.profiles.get(profile_path(id).as_str())?.as_ref().ok().map(AsRef::as_ref)
    }

    /// A group by its file name without `.json`.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.by_file(&format!("groups/{id}.json"))
    }

    /// A template by its cleaned path.
    pub fn template(&self, file: &str) -> Option<&TemplateFile> {
        self.templates.get(file).or_else(|| self.outside.get(file)).map(AsRef::as_ref)
    }

    /// All groups, in order of precedence.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// All readable profiles, in order of their file names.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values().filter_map(|profile| profile.as_ref().ok()).map(AsRef::as_ref)
    }

    /// All templates, in order of their file names; last those named outside the template folders.
    pub fn templates(&self) -> impl Iterator<Item = &TemplateFile> {
        self.templates.values().chain(self.outside.values()).map(AsRef::as_ref)
    }

    /// Every group and profile that does not parse.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        let profiles = self.profiles.values().filter_map(|profile| profile.as_ref().err());
        self.broken_groups.iter().chain(profiles).map(AsRef::as_ref)
    }
}

fn profile_path(id: &str) -> String {
    path::join("profiles", &format!("{id}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(catalog: &Catalog, query: &str) -> String {
        match catalog.select(&Labels::from_query(query.as_bytes(), catalog.compat())) {
            Selection::Group { group, .. } => group.file_id().into(),
            Selection::NoGroup => "-".into(),
            Selection::Broken(broken) => format!("broken {}", broken.file),
        }
    }

    const KPC: [(&str, &str); 3] = [
        ("groups/install.json", r#"{"profile":"wipe"}"#),
        ("groups/targetnode.json", r#"{"profile":"t","selector":{"modekey":"targetnode",}}"#),
        ("groups/node1.json", r#"{"profile":"t","selector":{"mac":"52:54:00:00:00:01","os":"x"}}"#),
    ];

    #[test]
    fn a_broken_group_falls_through_only_where_the_originals_do() {
        let catalog = Catalog::from_files(Compat::Bootcfg040, KPC);
        assert_eq!(pick(&catalog, "modekey=targetnode"), "install");
        let catalog = Catalog::from_files(Compat::Strict, KPC);
        assert_eq!(pick(&catalog, "modekey=targetnode"), "broken groups/targetnode.json");
        assert_eq!(pick(&catalog, "modekey=other"), "install");
        assert_eq!(pick(&catalog, "mac=52-54-00-00-00-01&os=x&modekey=targetnode"), "node1");
    }

    #[test]
    fn a_group_nobody_can_read_stops_everybody_in_strict_mode() {
        let files = [("groups/a.json", "{}"), ("groups/b.json", "{\"selector\":{\"mac")];
        assert_eq!(pick(&Catalog::from_files(Compat::Strict, files), ""), "broken groups/b.json");
        assert_eq!(pick(&Catalog::from_files(Compat::Matchbox, files), ""), "a");
    }

    #[test]
    fn precedence_is_matchbox_own() {
        let group = |selector: &str| format!("{{\"selector\":{{{selector}}}}}");
        let catalog = Catalog::from_files(
            Compat::Matchbox,
            [
                ("groups/t1.json", group(r#""t1":"x""#)),
                ("groups/t2.json", group(r#""t2":"x""#)),
                ("groups/m.json", group(r#""t1":"x","m":"1""#)),
                ("groups/a.json", group(r#""t2":"x","a":"9""#)),
                ("groups/b.json", group(r#""blank":"","mode":"rescue""#)),
                ("groups/c.json", group(r#""only":"""#)),
            ],
        );
        assert_eq!(pick(&catalog, "t1=x&t2=x"), "t2");
        assert_eq!(pick(&catalog, "t1=x&t2=x&m=1&a=9"), "m");
        assert_eq!(pick(&catalog, "mode=rescue"), "b");
        assert_eq!(pick(&catalog, "mode=rescue&blank=x"), "c");
        assert_eq!(pick(&catalog, "only=1"), "-");
    }

    #[test]
    fn names_may_wander_inside_the_root_as_in_go() {
        let catalog = Catalog::from_files(
            Compat::Matchbox,
            [
                ("groups/g.json", r#"{"profile":"../profiles/p"}"#),
                ("profiles/p.json", r#"{"id":"p","generic_id":"../groups/g.json"}"#),
            ],
        );
        let Selection::Group { profile, .. } = catalog.select(&Labels::default()) else { panic!() };
        assert_eq!(profile.unwrap().file_id(), "p");
        assert!(catalog.template("groups/g.json").is_some());
        assert!(catalog.missing_templates().is_empty());
    }
}
