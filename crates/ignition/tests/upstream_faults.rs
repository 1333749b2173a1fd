//! Four faults of the reference programs that are right here.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use ignition::convert::{Options, convert};
use ignition::{Config, SpecVersion, Style, check};

fn converted(json: &str, to: &str) -> Result<String, Vec<(String, &'static str)>> {
    let (config, _) = Config::parse(json.as_bytes()).unwrap();
    match convert(config, SpecVersion::parse(to).unwrap(), &Options::default()) {
        Ok((config, _)) => Ok(config.to_json(Style::TIDY)),
        Err(report) => {
            Err(report.entries().iter().map(|entry| (entry.path.to_string(), entry.code)).collect())
        }
    }
}

/// Ignition's own upgrade from 3.4 to 3.5 forgets the advertisement of tang servers.
#[test]
fn the_tang_advertisement_survives_an_upgrade() {
    let json = r#"{"ignition":{"version":"3.4.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","clevis":{"tang":[{"url":"http://t","thumbprint":"x","advertisement":"{\"payload\":\"p\"}"}]}}]}}"#;
    for to in ["3.5.0", "3.6.0"] {
        let made = converted(json, to).unwrap();
        assert!(made.contains(r#""advertisement":"{\"payload\":\"p\"}""#), "{made}");
        let back = converted(&made, "3.4.0").unwrap();
        assert_eq!(Config::parse(back.as_bytes()), Config::parse(json.as_bytes()));
    }
}

/// The converter of 2.x takes the address of its loop variable: all references become copies of the last.
#[test]
fn repeated_references_stay_different() {
    let json = r#"{"ignition":{"version":"2.3.0",
        "config":{"append":[{"source":"http://a/1"},{"source":"http://a/2"}]},
        "security":{"tls":{"certificateAuthorities":[{"source":"http://a/3"},{"source":"http://a/4"}]}}}}"#;
    let made = converted(json, "3.0.0").unwrap();
    for number in 1..=4 {
        assert_eq!(made.matches(&format!("http://a/{number}")).count(), 1, "{made}");
    }
    assert!(check(made.as_bytes()).1.is_empty());
}

/// Ignition's own downgrade from 3.5 to 3.4 forgets how the volume is opened.
#[test]
fn cex_is_a_named_loss() {
    let json = r#"{"ignition":{"version":"3.5.0"},"storage":{"luks":[{"name":"a","device":"/dev/a","cex":{"enabled":true}}]},"kernelArguments":{"shouldExist":["rd.luks.key=/etc/luks/cex.key"]}}"#;
    let lost = converted(json, "3.4.0").unwrap_err();
    assert_eq!(lost, [("$.storage.luks.0.cex".to_owned(), "lost")]);
}

/// Ignition compares paths with the paths of links by their letters: `/opt/abc` is not behind a link `/opt/a`.
#[test]
fn a_path_that_begins_like_a_link_is_not_behind_it() {
    let link = r#""links":[{"path":"/opt/a","target":"/x"}]"#;
    let files = |path: &str| {
        let json = format!(
            r#"{{"ignition":{{"version":"3.4.0"}},"storage":{{{link},"files":[{{"path":"{path}","mode":420}}]}}}}"#
        );
        check(json.as_bytes()).1.entries().iter().map(|entry| entry.code).collect::<Vec<_>>()
    };
    assert!(files("/opt/abc").is_empty());
    assert_eq!(files("/opt/a/bc"), ["file-path-includes-link-in-config"]);
}
