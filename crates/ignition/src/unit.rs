//! Unit files: names and syntax (systemd.syntax(7), as Ignition checks it).

/// Unit types of Ignition 1 and 2.0.
pub(crate) const UNIT_EXTENSIONS_V1: [&str; 12] = [
    ".service",
    ".socket",
    ".device",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".snapshot",
    ".slice",
    ".scope",
];

/// The last component's text from its last dot on, as Go's `filepath.Ext`.
pub(crate) fn extension(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or_default();
    last.rfind('.').and_then(|dot| last.get(dot..)).unwrap_or_default()
}
