//! Our client against other people's servers: tftpd-hpa, atftpd, async-tftp, dnsmasq. Octets are compared.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod common;

use common::{Guard, free_port, get, octets, peer, wait_answer};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const SIZES: [usize; 5] = [1, 512, 1024, 100_000, 1_000_003];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for size in SIZES {
        std::fs::write(folder.path().join(size.to_string()), octets(size)).unwrap();
    }
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

fn start(name: &str, arguments: &[String]) -> Option<Guard> {
    let (program, libraries) = peer(name)?;
    let mut command = Command::new(program);
    command.args(arguments).env("LD_LIBRARY_PATH", libraries);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Some(Guard(command.spawn().unwrap()))
}

fn reads(address: SocketAddr, folder: &Path) {
    let out = folder.join("out");
    for size in SIZES {
        for flags in [&[][..], &["--blksize", "512", "--windowsize", "1"], &["--windowsize", "8"]] {
            assert!(get(address, &size.to_string(), &out, flags), "{size} {flags:?}");
            assert!(std::fs::read(&out).unwrap() == octets(size), "{size} {flags:?}");
        }
    }
}

fn writes(address: SocketAddr, folder: &Path, prefix: &str) {
    for size in SIZES {
        for flags in [&[][..], &["--blksize", "512", "--windowsize", "1"]] {
            let name = format!("put-{size}-{}", flags.len());
            let mut put = common::tftpd();
            put.args(["put", "--quiet"]).args(flags).arg(folder.join(size.to_string()));
            assert!(
                put.arg(format!("tftp://{address}/{prefix}{name}")).status().unwrap().success(),
                "{name}"
            );
            let path = folder.join(&name);
            // A server may acknowledge the last block before the file is closed.
            let complete = || std::fs::read(&path).is_ok_and(|got| got == octets(size));
            let start = std::time::Instant::now();
            while !complete() {
                assert!(start.elapsed().as_secs() < 10, "{name}");
                std::thread::yield_now();
            }
        }
    }
}

fn local() -> SocketAddr {
    let ip = [127, 0, 0, 1].into();
    SocketAddr::new(ip, free_port(ip))
}

#[test]
fn tftpd_hpa() {
    if !common::is_root() {
        return;
    }
    let (folder, address) = (folder(), local());
    let root = folder.path().display().to_string();
    let words = ["--foreground", "--user", "root", "--create", "--permissive", "--umask", "022", "--secure"];
    let mut arguments: Vec<String> = words.map(str::to_owned).into();
    arguments.extend(["--address".into(), address.to_string(), root]);
    let Some(_server) = start("in.tftpd", &arguments) else { return };
    wait_answer(address);
    reads(address, folder.path());
    writes(address, folder.path(), "");
}

#[test]
fn atftpd() {
    if !common::is_root() {
        return;
    }
    let (folder, address) = (folder(), local());
    let words = ["--daemon", "--no-fork", "--user", "root.root", "--logfile", "/dev/null", "--bind-address"];
    let mut arguments: Vec<String> = words.map(str::to_owned).into();
    arguments.extend([address.ip().to_string(), "--port".into(), address.port().to_string()]);
    arguments.push(folder.path().display().to_string());
    let Some(_server) = start("atftpd", &arguments) else { return };
    wait_answer(address);
    reads(address, folder.path());
    writes(address, folder.path(), "");
}

#[test]
fn async_tftp() {
    let (folder, address) = (folder(), local());
    let root = folder.path().to_owned();
    std::thread::spawn(move || {
        futures_lite::future::block_on(async {
            let builder = async_tftp::server::TftpServerBuilder::with_dir_rw(&root).unwrap();
            builder.bind(address).build().await.unwrap().serve().await.unwrap();
        });
    });
    wait_answer(address);
    reads(address, folder.path());
    writes(address, folder.path(), "");
}
