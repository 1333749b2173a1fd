//! Paths below the data folder, cleaned as Go's `path.Clean` does: whatever a file is called, it stays inside.

/// `folder/name`, cleaned under the data folder: `..` may leave the folder but never the root.
///
/// ```
/// assert_eq!(bootcfg::path::join("generic", "../groups/g.json"), "groups/g.json");
/// assert_eq!(bootcfg::path::join("ignition", "../../ignition/min.ign"), "ignition/min.ign");
/// ```
pub fn join(folder: &str, name: &str) -> String {
    clean(&format!("{folder}/{name}"))
}

/// Resolves `.`, `..` and empty parts; the result has no leading slash and no way out.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether `name` stays inside its folder and is no folder itself: what strict mode and the API accept as an id.
pub fn is_confined(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\0', '\\'])
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && name.len() <= 255
}
