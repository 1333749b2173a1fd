//! Lists that share their keys when configs are merged: a child's entry of another kind removes the parent's.

use std::collections::HashSet;

use super::{KernelArguments, Storage};
use crate::merge::Cx;

/// Files, directories and links share their paths.
pub(super) fn nodes(parent: &Storage, child: &Storage, cx: &mut Cx) {
    let directories: HashSet<&str> = child.directories.iter().map(|node| node.path.as_str()).collect();
    let files: HashSet<&str> = child.files.iter().map(|node| node.path.as_str()).collect();
    let links: HashSet<&str> = child.links.iter().map(|node| node.path.as_str()).collect();
    let other = |path: &str, own: &HashSet<&str>| {
        !own.contains(path) && (directories.contains(path) || files.contains(path) || links.contains(path))
    };
    cx.skip("directories", parent.directories.iter().map(|node| other(&node.path, &directories)));
    cx.skip("files", parent.files.iter().map(|node| other(&node.path, &files)));
    cx.skip("links", parent.links.iter().map(|node| other(&node.path, &links)));
}

/// Arguments to add and to remove are one set.
pub(super) fn arguments(parent: &KernelArguments, child: &KernelArguments, cx: &mut Cx) {
    let add: HashSet<&String> = child.should_exist.iter().collect();
    let remove: HashSet<&String> = child.should_not_exist.iter().collect();
    cx.skip(
        "shouldExist",
        parent.should_exist.iter().map(|item| remove.contains(item) && !add.contains(item)),
    );
    let moved = |item: &String| add.contains(item) && !remove.contains(item);
    cx.skip("shouldNotExist", parent.should_not_exist.iter().map(moved));
}
