//! Answers beside the recorded ones, as the sources of Go's `net/http` and of coreos-cloudinit have them.
#![cfg(all(feature = "http", feature = "ignition"))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

mod common;

use std::fs;

use bootcfg::Compat;
use common::{Answer, Server};
use tempfile::TempDir;

fn serve(compat: Compat, files: &[(&str, &str)]) -> (TempDir, Server) {
    let dir = TempDir::new().unwrap();
    for folder in ["groups", "profiles", "cloud", "assets"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let server = Server::start(dir.path(), compat);
    (dir, server)
}

fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    server.ask(method, path, &headers, None)
}

#[test]
fn a_type_is_the_one_of_the_originals_go() {
    for (compat, zipped, text) in [
        (Compat::Bootcfg040, "application/x-gzip", "text/html; charset=utf-8"),
        (Compat::Matchbox, "application/gzip", "text/plain; charset=utf-8"),
    ] {
        let files = [("assets/initrd.gz", "\u{1f}x"), ("assets/notes.txt", "<html>"), ("assets/k.img", "x")];
        let (dir, server) = serve(compat, &files);
        fs::write(dir.path().join("assets/initrd.gz"), b"\x1f\x8b\x08rest").unwrap();
        assert_eq!(server.get("/assets/initrd.gz").header("content-type"), Some(zipped));
        assert_eq!(server.get("/assets/notes.txt").header("content-type"), Some(text));
        assert_eq!(server.get("/assets/k.img").header("content-type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn a_range_that_cannot_be_met() {
    // RFC 9110 §15.5.17
    let files = [("assets/f", "0123456789"), ("assets/empty", "")];
    for (compat, dated, empty) in [(Compat::Bootcfg040, true, 416), (Compat::Matchbox, false, 200)] {
        let (_dir, server) = serve(compat, &files);
        let answer = ask(&server, "GET", "/assets/f", &[("Range", "bytes=10-")]);
        assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */10")));
        assert_eq!(answer.header("last-modified").is_some(), dated, "{compat}");
        let answer = ask(&server, "GET", "/assets/empty", &[("Range", "bytes=0-")]);
        assert_eq!((answer.status, answer.body.is_empty()), (empty, empty == 200), "{compat}");
        let answer = ask(&server, "GET", "/assets/f", &[("Range", "bytes=-0")]);
        assert_eq!((answer.status, answer.header("content-range")), (206, Some("bytes 10-9/10")));
        assert_eq!(answer.header("content-length"), Some("0"));
    }
}

#[test]
fn several_ranges_make_a_body_as_long_as_gos() {
    // RFC 9110 §14.6
    let (_dir, server) = serve(Compat::Matchbox, &[("assets/f", "0123456789")]);
    let answer = ask(&server, "GET", "/assets/f", &[("Range", "bytes=0-1,4-6")]);
    let boundary =
        answer.header("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    assert_eq!((answer.status, boundary.len()), (206, 60));
    let part = |range: &str, octets: &str| {
        format!(
            "--{boundary}\r\nContent-Range: bytes {range}/10\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{octets}\r\n"
        )
    };
    assert_eq!(answer.text(), format!("{}{}--{boundary}--\r\n", part("0-1", "01"), part("4-6", "456")));
}

#[test]
fn conditions_hold_for_files_and_listings_as_in_go() {
    // RFC 9110 §13.1
    let (_dir, server) = serve(Compat::Matchbox, &[("assets/f", "0123456789")]);
    let date = server.get("/assets/f").header("last-modified").unwrap().to_string();
    let status =
        |method: &str, path: &str, headers: &[(&str, &str)]| ask(&server, method, path, headers).status;
    assert_eq!(status("GET", "/assets/f", &[("If-Modified-Since", &date)]), 304);
    assert_eq!(status("POST", "/assets/f", &[("If-Modified-Since", &date)]), 200);
    assert_eq!(status("POST", "/assets/f", &[("If-None-Match", "*")]), 412);
    assert_eq!(status("GET", "/assets/f", &[("If-Match", "\"a\", *")]), 200);
    assert_eq!(status("GET", "/assets/f", &[("If-Match", "\"a\"")]), 412);
    let ranged =
        |value: &str| ask(&server, "GET", "/assets/f", &[("Range", "bytes=0-0"), ("If-Range", value)]).status;
    assert_eq!((ranged(&date), ranged("Mon, 02 Jan 2006 15:04:05 GMT"), ranged("\"a\"")), (206, 200, 200));
    assert_eq!(status("POST", "/assets/f", &[("Range", "bytes=0-0"), ("If-Range", "\"a\"")]), 206);
    // A listing knows nothing but its age.
    let later = [("If-Modified-Since", "Sun, 22 Nov 2099 00:00:00 GMT")];
    let listing = ask(&server, "GET", "/assets/", &later);
    assert_eq!((listing.status, listing.header("last-modified")), (304, None));
    for header in [("If-None-Match", "*"), ("If-Match", "\"a\""), ("Range", "bytes=0-0")] {
        assert_eq!(status("GET", "/assets/", &[header]), 200, "{header:?}");
    }
}

#[test]
fn a_redirect_to_a_folder_names_it_as_it_is() {
    let (_dir, server) = serve(Compat::Matchbox, &[("assets/b\u{e4}r x/f", "1")]);
    let answer = server.raw(b"GET /assets/b%C3%A4r%20x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((answer.status, answer.header("location")), (301, Some("b\u{e4}r x/")));
}

#[test]
fn cloud_configs_are_looked_at_for_their_syntax_only() {
    let profile = |id: &str| format!(r#"{{"id":"p","cloud_id":"{id}"}}"#);
    let group = |id: &str| format!(r#"{{"profile":"{id}","selector":{{"c":"{id}"}}}}"#);
    let cases = [
        ("types", "#cloud-config\nhostname: [a]\nwrite_files: 3\nusers: {}\n", 200),
        ("twice", "#cloud-config\nhostname: a\nhostname: b\n", 200),
        ("second", "#cloud-config\nhostname: a\n---\nusers: [\n", 200),
        ("space", "#cloud-config \t\u{a0}\r\nhostname: a\n", 200),
        ("empty", "#cloud-config", 200),
        ("syntax", "#cloud-config\nhostname: [a\n", 404),
        ("header", "# cloud-config\nhostname: a\n", 404),
    ];
    let mut files = Vec::new();
    for (id, text, _) in cases {
        files.push((format!("cloud/{id}"), text.to_string()));
        files.push((format!("profiles/{id}.json"), profile(id)));
        files.push((format!("groups/{id}.json"), group(id)));
    }
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    for compat in [Compat::Bootcfg040, Compat::Matchbox] {
        let (_dir, server) = serve(compat, &files);
        for (id, text, status) in cases {
            let answer = server.get(&format!("/cloud?c={id}"));
            assert_eq!(answer.status, status, "{compat} {id}");
            assert!(status != 200 || answer.text() == text, "{id}");
        }
    }
}
