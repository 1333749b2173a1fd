//! `spec`: every symbol that ARCHITECTURE.md's hops name exists in the code of its crate.
//!
//! A hop list is a line `- crate: \`a::b\` → \`c\` → …`; the last segment of each path must be defined in the sources
//! of that crate, and, where the path names a type, the type too. A list has at most five hops.

use std::fs;
use std::path::Path;

use crate::run::{Outcome, root};

/// The verb.
pub(crate) fn run() -> Outcome {
    let path = root().join("ARCHITECTURE.md");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut checked, mut faults) = (0, Vec::new());
    for (number, line) in text.lines().enumerate() {
        let Some((place, hops)) = line.strip_prefix("- ").and_then(|line| line.split_once(": `")) else {
            continue;
        };
        if !hops.contains(" → ") {
            continue;
        }
        let place = place.trim_matches('`').split_whitespace().next().unwrap_or_default();
        let hops: Vec<&str> = hops.split(" → ").map(|hop| hop.trim().trim_matches('`')).collect();
        if hops.len() > 5 {
            faults.push(format!("ARCHITECTURE.md:{}: {} hops; five are enough", number + 1, hops.len()));
        }
        let folder = [format!("crates/{place}"), format!("tools/{place}")]
            .into_iter()
            .map(|folder| root().join(folder))
            .find(|folder| folder.is_dir());
        let Some(folder) = folder else {
            faults.push(format!("ARCHITECTURE.md:{}: no crate or tool `{place}`", number + 1));
            continue;
        };
        let code = sources(&folder)?;
        for hop in hops {
            let hop = hop.split(['(', '<', '{']).next().unwrap_or_default();
            for segment in hop.split("::") {
                checked += 1;
                if !defines(&code, &folder, segment) {
                    faults
                        .push(format!("ARCHITECTURE.md:{}: `{hop}`: no `{segment}` in {place}", number + 1));
                }
            }
        }
    }
    if checked == 0 {
        return Err("ARCHITECTURE.md has no hop list (`- crate: `a` → `b``)".to_owned());
    }
    if faults.is_empty() {
        println!("ARCHITECTURE.md: {checked} symbols exist");
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}

fn sources(folder: &Path) -> Outcome<String> {
    let mut code = String::new();
    let mut open = vec![folder.join("src")];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                code.push_str(
                    &fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?,
                );
            }
        }
    }
    Ok(code)
}

/// Whether `name` is defined: an item, a method, or a module's file.
fn defines(code: &str, folder: &Path, name: &str) -> bool {
    let keywords = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static"];
    let item = keywords.iter().any(|keyword| {
        let pattern = format!("{keyword} {name}");
        code.match_indices(&pattern).any(|(at, _)| {
            let after = code.get(at + pattern.len()..).and_then(|rest| rest.chars().next());
            !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
        })
    });
    item || folder.join(format!("src/{name}.rs")).is_file() || folder.join(format!("src/{name}")).is_dir()
}
