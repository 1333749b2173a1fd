//! Sugar that makes files: local trees and quadlets.

use std::collections::HashMap;

use super::model::{Config, Quadlet, Tree};
use super::rules;
use super::source::{broken, template_of};
use super::translate::Cx;
use crate::files::TreeKind;
use crate::report::{At, Path};
use crate::v3;

/// Which paths the config writes already.
struct Nodes {
    files: HashMap<String, usize>,
    directories: HashMap<String, usize>,
    links: HashMap<String, usize>,
}

impl Nodes {
    fn of(storage: &v3::Storage) -> Self {
        let files = storage.files.iter().enumerate().map(|(index, node)| (node.path.clone(), index));
        let directories =
            storage.directories.iter().enumerate().map(|(index, node)| (node.path.clone(), index));
        let links = storage.links.iter().enumerate().map(|(index, node)| (node.path.clone(), index));
        Self { files: files.collect(), directories: directories.collect(), links: links.collect() }
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.directories.contains_key(path) || self.links.contains_key(path)
    }
}

fn place(list: &str, index: usize) -> Path {
    Path::root().key("storage").key(list).index(index)
}

/// Adds what local trees hold.
pub(super) fn trees(config: &Config, out: &mut v3::Config, cx: &mut Cx<'_>) {
    if config.base.storage.trees.is_empty() {
        return;
    }
    let mut nodes = Nodes::of(&out.storage);
    let storage = At::ROOT.key("storage");
    for (index, tree) in config.base.storage.trees.iter().enumerate() {
        let list = storage.key("trees");
        let at = list.index(index);
        if tree.local.is_empty() {
            continue; // reported before
        }
        let entries = match cx.files.tree(&tree.local) {
            Ok(entries) => entries,
            Err(why) => {
                cx.report.error(why.code(), why.to_string(), &at);
                continue;
            }
        };
        let base = tree.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
        for entry in entries {
            let path = crate::path::clean(&format!("{base}/{}", entry.path));
            add(tree, path, entry.kind, &mut nodes, out, cx, &at);
        }
    }
}

fn add(
    tree: &Tree,
    path: String,
    kind: TreeKind,
    nodes: &mut Nodes,
    out: &mut v3::Config,
    cx: &mut Cx<'_>,
    at: &At<'_>,
) {
    let plain = tree.dir_mode.is_none()
        && tree.user == v3::NodeUser::default()
        && tree.group == v3::NodeGroup::default();
    match kind {
        TreeKind::Directory if plain => {}
        TreeKind::Directory if nodes.has(&path) => broken(rules::NODE_EXISTS, cx.report, at),
        TreeKind::Directory => {
            let index = out.storage.directories.len();
            cx.origins.generated(place("directories", index), at.path());
            nodes.directories.insert(path.clone(), index);
            out.storage.directories.push(v3::Directory {
                path,
                user: tree.user.clone(),
                group: tree.group.clone(),
                mode: tree.dir_mode.or(Some(0o755)),
                overwrite: None,
            });
        }
        TreeKind::File { contents, executable } => {
            let index = match nodes.files.get(&path) {
                Some(index) => *index,
                None if nodes.has(&path) => return broken(rules::NODE_EXISTS, cx.report, at),
                None => {
                    let index = out.storage.files.len();
                    cx.origins.generated(place("files", index), at.path());
                    nodes.files.insert(path.clone(), index);
                    let (user, group) = (tree.user.clone(), tree.group.clone());
                    out.storage.files.push(v3::File { path, user, group, ..v3::File::default() });
                    index
                }
            };
            let Some(file) = out.storage.files.get_mut(index) else { return };
            if file.contents.source.as_deref().is_some_and(|source| !source.is_empty()) {
                return broken(rules::NODE_EXISTS, cx.report, at);
            }
            let (url, compression) = cx.encoder.url(&contents, file.contents.compression.as_deref());
            file.contents.source = Some(url);
            if let Some(compression) = compression {
                file.contents.compression = Some(compression.to_owned());
            }
            if file.mode.is_none() {
                file.mode = tree.file_mode.or(Some(if executable { 0o755 } else { 0o644 }));
                cx.origins.generated(place("files", index).key("mode"), at.path());
            }
            cx.origins.generated(place("files", index).key("contents"), at.path());
        }
        TreeKind::Link(target) => {
            let index = match nodes.links.get(&path) {
                Some(index) => *index,
                None if nodes.has(&path) => return broken(rules::NODE_EXISTS, cx.report, at),
                None => {
                    let index = out.storage.links.len();
                    cx.origins.generated(place("links", index), at.path());
                    nodes.links.insert(path.clone(), index);
                    let (user, group) = (tree.user.clone(), tree.group.clone());
                    out.storage.links.push(v3::Link { path, user, group, ..v3::Link::default() });
                    index
                }
            };
            let Some(link) = out.storage.links.get_mut(index) else { return };
            if link.target.as_deref().is_some_and(|target| !target.is_empty()) {
                return broken(rules::NODE_EXISTS, cx.report, at);
            }
            link.target = Some(target);
        }
        TreeKind::Other => {
            let why = crate::files::FilesError::FileType;
            cx.report.error(why.code(), why.to_string(), at);
        }
    }
}

/// Adds the files of quadlets (podman-systemd.unit(5)).
pub(super) fn quadlets(config: &Config, out: &mut v3::Config, cx: &mut Cx<'_>) {
    if config.base.systemd.quadlets.is_empty() {
        return;
    }
    let mut nodes = Nodes::of(&out.storage);
    let systemd = At::ROOT.key("systemd");
    for (index, quadlet) in config.base.systemd.quadlets.iter().enumerate() {
        let list = systemd.key("quadlets");
        let at = list.index(index);
        let path = directory(quadlet);
        match template_of(&quadlet.name) {
            Some(target) => {
                if nodes.has(&path) {
                    broken(rules::NODE_EXISTS, cx.report, &at);
                } else {
                    let index = out.storage.links.len();
                    cx.origins.generated(place("links", index), at.path());
                    cx.origins.generated(place("links", index).key("path"), at.key("name").path());
                    nodes.links.insert(path.clone(), index);
                    let target = Some(target);
                    out.storage.links.push(v3::Link { path: path.clone(), target, ..v3::Link::default() });
                }
            }
            None => {
                write(&path, &quadlet.contents, &quadlet.contents_local, &mut nodes, out, cx, &at);
            }
        }
        for (index, dropin) in quadlet.dropins.iter().enumerate() {
            let list = at.key("dropins");
            let path = format!("{path}.d/{}", dropin.name);
            write(&path, &dropin.contents, &dropin.contents_local, &mut nodes, out, cx, &list.index(index));
        }
    }
}

fn directory(quadlet: &Quadlet) -> String {
    let base = if quadlet.rootful { "/etc/containers/systemd" } else { "/etc/containers/systemd/users" };
    crate::path::clean(&format!("{base}/{}", quadlet.name))
}

fn write(
    path: &str,
    contents: &Option<String>,
    local: &Option<String>,
    nodes: &mut Nodes,
    out: &mut v3::Config,
    cx: &mut Cx<'_>,
    at: &At<'_>,
) {
    if nodes.has(path) {
        return broken(rules::NODE_EXISTS, cx.report, at);
    }
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (octets, source) = match (filled(contents), filled(local)) {
        (Some(text), _) => (text.into_bytes(), at.key("contents")),
        (None, Some(path)) => match cx.files.read(&path) {
            Ok(octets) => (octets, at.key("contents_local")),
            Err(why) => {
                cx.report.error(why.code(), why.to_string(), &at.key("contents_local"));
                return;
            }
        },
        (None, None) => (Vec::new(), at.key("contents")),
    };
    let index = out.storage.files.len();
    cx.origins.generated(place("files", index), at.path());
    cx.origins.generated(place("files", index).key("path"), at.key("name").path());
    cx.origins.generated(place("files", index).key("contents"), source.path());
    nodes.files.insert(path.to_owned(), index);
    let (url, compression) = cx.encoder.url(&octets, None);
    let mut file = v3::File { path: path.to_owned(), mode: Some(0o644), ..v3::File::default() };
    file.contents.source = Some(url);
    file.contents.compression = compression.map(str::to_owned);
    out.storage.files.push(file);
}
