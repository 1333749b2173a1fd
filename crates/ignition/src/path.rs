//! File paths, lexically (Go's `path`).

/// The shortest path that means the same without looking at any file.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// Whether [`clean`] would change nothing.
pub(crate) fn is_clean(path: &str) -> bool {
    match path.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.split('/').all(|part| !matches!(part, "" | "." | "..")),
        None => clean(path) == path,
    }
}

/// Why a path is refused: code and message.
pub(crate) type PathRule = (&'static str, &'static str);

/// The rule for paths of 3.x.
pub(crate) fn check(path: &str) -> Result<(), PathRule> {
    if path.is_empty() {
        Err(("path-not-specified", "path not specified"))
    } else if !path.starts_with('/') {
        Err(("path-not-absolute", "path not absolute"))
    } else if !is_clean(path) {
        Err(("path-is-not-fully-simplified", "path is not fully simplified"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_as_go() {
        for (path, cleaned) in
            [("/a/../b/./c//", "/b/c"), ("", "."), ("../a/..", ".."), ("/..", "/"), ("a/..", "."), ("/", "/")]
        {
            assert_eq!(clean(path), cleaned);
            assert_eq!(is_clean(path), path == cleaned, "{path}");
        }
    }
}
