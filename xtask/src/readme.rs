//! `readme`: runs every console block of the root README and of the tools' docs, as a reader would.
//!
//! A block fenced as `console` holds lines that start with `$ ` (typed) and lines of output. The typed lines run in one
//! shell in a scratch folder with the built tools first in PATH. Output lines must appear in order; `…` at a line's end
//! means "and more", a line that is only `…` skips any number of lines. Blocks that [`EXEMPT`] lists are not run:
//! they are the two set-up commands themselves, and the README's first, which a test of its own types in the lab. Each
//! block has a network namespace of its own with an interface `eno1` at 10.101.0.15/24, so that servers take their real
//! ports and nothing leaves the machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::deps;
use crate::lab;
use crate::run::{Outcome, cargo, is_root, root, step, target};

/// First typed lines of blocks that are not run, each with its reason.
const EXEMPT: &[(&str, &str)] = &[
    ("cargo xtask lab", "the main job itself; the lab tests run it"),
    ("cargo xtask test", "would run itself"),
    (
        "kpc init --interface eno1",
        "the five commands: the test kpc_journey types them on a bare host of the lab",
    ),
];

/// The interface that blocks name.
const NETWORK: &str = "ip link set lo up; ip link add eno1 type veth peer name wire; ip addr add 10.101.0.15/24 dev eno1; \
ip link set eno1 up; ip link set wire up\n";

/// The verb. Arguments name files; none means every README.
pub(crate) fn run(files: &[String]) -> Outcome {
    step(&mut cargo(&[
        "build",
        "--profile",
        "lab",
        "--quiet",
        "--bins",
        "--workspace",
        "--exclude",
        "xtask",
        "--exclude",
        "kpc-benches",
    ]))?;
    let files: Vec<String> = if files.is_empty() { pages()? } else { files.to_vec() };
    let (mut ran, mut exempt, mut faults) = (0, 0, Vec::new());
    for file in files {
        let text = fs::read_to_string(root().join(&file)).map_err(|error| format!("{file}: {error}"))?;
        for (line, block) in blocks(&text) {
            if EXEMPT.iter().any(|(start, _)| block.lines().next().is_some_and(|first| first.contains(start)))
            {
                exempt += 1;
                continue;
            }
            ran += 1;
            if let Err(message) = try_block(&block) {
                faults.push(format!("{file}:{line}: {message}"));
            }
        }
    }
    println!("console blocks: {ran} run, {exempt} exempt, {} failed", faults.len());
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

/// The pages with blocks: the root README, each crate's, and docs.
fn pages() -> Outcome<Vec<String>> {
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["crates", "tools", "docs"] {
        let place = root().join(folder);
        let Ok(entries) = fs::read_dir(&place) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            } else if entry.path().join("README.md").is_file() {
                pages.push(format!("{folder}/{name}/README.md"));
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// The console blocks of a page with the number of their first line.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut open {
            None if line.trim() == "```console" => open = Some((number + 2, String::new())),
            Some(_) if line.trim() == "```" => found.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    found
}

fn try_block(block: &str) -> Outcome {
    let scratch = target().join("readme");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let mut script = String::from("set -e\n");
    let mut expected: Vec<&str> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ").or_else(|| line.strip_prefix("# ")) {
            Some(typed) => {
                script.push_str(typed.strip_prefix("sudo ").unwrap_or(typed));
                script.push('\n');
            }
            None if line.starts_with("> ") => {
                script.push_str(line.get(2..).unwrap_or_default());
                script.push('\n');
            }
            None => expected.push(line),
        }
    }
    let output = shell(&script, &scratch)?;
    let mut lines = output.lines();
    for want in expected.iter().filter(|want| !want.trim().is_empty() && want.trim() != "…") {
        if !lines.any(|line| fits(line, want)) {
            return Err(format!("no line `{want}` in the output of\n{script}--- output\n{output}"));
        }
    }
    Ok(())
}

fn fits(line: &str, want: &str) -> bool {
    match want.split_once('…') {
        Some((start, _)) => line.trim_end().starts_with(start.trim_end()),
        None => line.trim_end() == want.trim_end(),
    }
}

fn shell(script: &str, scratch: &Path) -> Outcome<String> {
    let path = format!("{}:{}", target().join("lab").display(), std::env::var("PATH").unwrap_or_default());
    // A block that starts servers leaves none behind: its shell ends its jobs, the process namespace what is left.
    let isolated: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    let output = Command::new("timeout")
        .args([
            "--kill-after=5",
            "120",
            "unshare",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(isolated)
        .args(["bash", "-c"])
        .arg(format!("exec 2>&1\n{NETWORK}trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"))
        .current_dir(scratch)
        .env("PATH", path)
        .env("KPC_LAB_PARTS", deps::lab_parts())
        .env("KPC_AGENT", lab::agent_path())
        .env("KPC_ROOT", root())
        .output()
        .map_err(|error| format!("bash: {error}"))?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("ended with {}:\n{script}--- output\n{said}", output.status))
    }
}
