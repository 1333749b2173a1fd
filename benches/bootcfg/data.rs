//! Stores of any size, as files.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// The MAC address of a group.
pub(crate) fn mac(number: usize) -> String {
    let octets = number.to_be_bytes();
    format!("52:54:00:{:02x}:{:02x}:{:02x}", octets[5], octets[6], octets[7])
}

/// A folder with `groups` groups, one per MAC address, and the profile of a case.
pub(crate) fn store(groups: usize, case: usize) -> TempDir {
    let dir = TempDir::new().unwrap();
    for folder in ["groups", "profiles", "ignition", "generic", "assets"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for number in 0..groups {
        write_group(dir.path(), number, "db");
    }
    let ignition = match case {
        5 => "config.yaml",
        _ => "config.ign",
    };
    let profile = serde_json::json!({
        "id": "p", "ignition_id": ignition, "generic_id": "text",
        "boot": {
            "kernel": "/assets/vmlinuz", "initrd": ["/assets/initrd.img"],
            "args": ["console=ttyS0", "ignition.config.url=http://10.100.0.2:8080/ignition?mac=${mac:hexhyp}"],
        },
    });
    fs::write(dir.path().join("profiles/p.json"), profile.to_string()).unwrap();
    fs::write(dir.path().join("generic/text"), template()).unwrap();
    let config = raw(if case == 4 { 100 << 10 } else { 10 << 10 });
    fs::write(dir.path().join("ignition/config.ign"), config).unwrap();
    fs::write(dir.path().join("ignition/config.yaml"), yaml()).unwrap();
    dir
}

fn write_group(dir: &Path, number: usize, role: &str) {
    let group = serde_json::json!({
        "id": format!("node{number}"), "name": format!("Node {number}"), "profile": "p",
        "selector": {"mac": mac(number)},
        "metadata": {"role": role, "number": number, "keys": ["ssh-ed25519 AAAA a@b", "ssh-rsa BBBB c@d"]},
    });
    fs::write(dir.join(format!("groups/node{number}.json")), group.to_string()).unwrap();
}

/// Changes a group's metadata in place.
pub(crate) fn edit(dir: &Path, number: usize, role: &str) {
    write_group(dir, number, role);
}

/// 10 KiB of template, an action in every line.
pub(crate) fn template() -> String {
    let mut text = String::new();
    while text.len() < 10 << 10 {
        text.push_str(
            "host={{.request.query.mac}} role={{.role}} {{if eq .role \"db\"}}data{{else}}none{{end}} ",
        );
        text.push_str("{{range .keys}}- {{.}} {{end}}\n");
    }
    text
}

fn raw(size: usize) -> String {
    let mut files = Vec::new();
    let mut length = 0;
    while length < size {
        let number = files.len();
        let file = serde_json::json!({
            "path": format!("/etc/app/file{number}.conf"), "mode": 420,
            "contents": {"source": format!("data:,key{number}%20%3D%20value%20{number}%0A")},
        });
        length += file.to_string().len() + 1;
        files.push(file);
    }
    serde_json::json!({"ignition": {"version": "3.4.0"}, "storage": {"files": files}}).to_string()
}

fn yaml() -> String {
    let mut text = "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n".to_owned();
    let mut number = 0;
    while text.len() < 10 << 10 {
        write!(
            text,
            "    - path: /etc/app/file{number}.conf\n      mode: 0644\n      contents:\n        inline: |\n          \
             key{number} = {{{{.role}}}} {{{{.request.query.mac}}}}\n"
        )
        .unwrap();
        number += 1;
    }
    text
}
