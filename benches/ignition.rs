//! `bench-ignition`: validating, merging and transpiling, beside serde_json and Debian's `ignition-validate`.
//!
//! In process: the best and the median of interleaved rounds, in processor time. Whole processes: wall time of the `ign`
//! built beside this binary (or `IGN=path`) and of the peer (`KPC_PEERS_DIR`, or target/peers, where `cargo xtask deps`
//! unpacks it). Butane's figures are recorded ones (Go 1.27, two cores), since Debian has no package of it.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::expect_used, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ignition::{Config, butane, fuze, merge};
use rustix::time::{ClockId, clock_gettime};

/// Files and units: the inputs of the recorded figures have as many.
const SMALL: usize = 23;
const LARGE: usize = 2369;

fn unit(number: usize) -> String {
    format!(
        "[Unit]\nDescription=Service {number}\nAfter=network-online.target\n[Service]\n\
         ExecStart=/usr/bin/svc --id {number} --mode x\n[Install]\nWantedBy=multi-user.target\n"
    )
}

fn json(count: usize) -> String {
    let files: Vec<_> = (0..count)
        .map(|number| {
            serde_json::json!({
                "path": format!("/etc/app/conf.d/file{number}.conf"), "mode": 420, "overwrite": true,
                "contents": {"source": format!("data:,key{number}%20%3D%20value%20{number}%0A%23%20some%20text%20to%20fill%20it%20up%0A")},
            })
        })
        .collect();
    let units: Vec<_> = (0..count)
        .map(|number| {
            serde_json::json!({"name": format!("svc{number}.service"), "enabled": true, "contents": unit(number)})
        })
        .collect();
    let config = serde_json::json!({
        "ignition": {"version": "3.4.0"}, "storage": {"files": files}, "systemd": {"units": units},
    });
    serde_json::to_string_pretty(&config).unwrap().replace("  ", " ")
}

fn yaml(count: usize) -> String {
    let mut text = "variant: fcos\nversion: 1.5.0\nstorage:\n  files:\n".to_owned();
    for number in 0..count {
        write!(
            text,
            "    - path: /etc/app/conf.d/file{number}.conf\n      mode: 0644\n      overwrite: true\n      contents:\n        \
             inline: |\n          # file {number}\n          key{number} = value {number} with some text to fill it up\n          \
             other = 100% of it\n"
        )
        .unwrap();
    }
    text.push_str("systemd:\n  units:\n");
    for number in 0..count {
        let contents = unit(number).replace('\n', "\n        ");
        let contents = contents.trim_end();
        write!(
            text,
            "    - name: svc{number}.service\n      enabled: true\n      contents: |\n        {contents}\n"
        )
        .unwrap();
    }
    text
}

/// KPC's own deploy host, in the manner of its template.
fn deploy_host() -> String {
    let mut text = "---\nsystemd:\n  units:\n".to_owned();
    for name in ["ip-metadata-kpc", "docker-dnsmasq4bootcfg", "docker-bootcfg", "docker-registry", "etcd2"] {
        write!(
            text,
            "    - name: {name}.service\n      enable: true\n      contents: |\n        [Unit]\n        \
             Description=Service {name} of the deploy host\n        Requires=docker.service\n        After=docker.service\n\n        \
             [Service]\n        EnvironmentFile=/run/metadata/KPC-custom-ip-metadata\n        Restart=always\n        \
             ExecStart=/usr/bin/docker run --net=host --cap-add=NET_ADMIN --name {name} quay.io/coreos/{name} -d -q \
             --dhcp-range=${{COREOS_PRIVATE_IPV4}},proxy --enable-tftp --tftp-root=/var/lib/tftpboot \
             --dhcp-userclass=set:ipxe,iPXE\n        ExecStop=/usr/bin/docker stop {name}\n        ExecStop=/usr/bin/docker rm {name}\n\n        \
             [Install]\n        WantedBy=multi-user.target\n"
        )
        .unwrap();
    }
    text.push_str("passwd:\n  users:\n    - name: core\n      ssh_authorized_keys:\n");
    text.push_str("        - ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDexample admin@lab\n");
    text
}

fn links(count: usize) -> String {
    let files: Vec<_> =
        (0..count).map(|n| serde_json::json!({"path": format!("/srv/data/{n}/file")})).collect();
    let links: Vec<_> =
        (0..count).map(|n| serde_json::json!({"path": format!("/opt/link{n}"), "target": "/x"})).collect();
    serde_json::json!({"ignition": {"version": "3.4.0"}, "storage": {"files": files, "links": links}})
        .to_string()
}

fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Best and median processor time of one call.
fn measure(rounds: usize, batch: usize, mut work: impl FnMut()) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let before = processor();
            (0..batch).for_each(|_| work());
            (processor() - before) / batch as u32
        })
        .collect();
    times.sort();
    (times.first().copied().unwrap_or_default(), times.get(rounds / 2).copied().unwrap_or_default())
}

fn show(what: &str, octets: usize, (best, median): (Duration, Duration), bound: Option<Duration>) -> bool {
    let rate = octets as f64 / median.as_secs_f64() / 1e6;
    let verdict = match bound {
        Some(bound) if median <= bound => format!("holds {bound:?}"),
        Some(bound) => format!("misses {bound:?}"),
        None => String::new(),
    };
    println!(
        "{what:<46} {octets:>8} octets  best {best:>10.1?}  median {median:>10.1?}  {rate:>6.0} MB/s  {verdict}"
    );
    bound.is_none_or(|bound| median <= bound)
}

fn in_process() -> bool {
    let (micro, milli) = (Duration::from_micros, Duration::from_millis);
    let mut good = true;
    for (size, count, batch, bound) in [("10 KiB", SMALL, 50, micro(60)), ("1 MiB", LARGE, 1, milli(7))] {
        let text = json(count);
        let parse = measure(31, batch, || {
            black_box(ignition::check(black_box(text.as_bytes())));
        });
        good &= show(&format!("parse and validate, {size}"), text.len(), parse, Some(bound));
        let serde = measure(31, batch, || {
            black_box(serde_json::from_str::<serde_json::Value>(black_box(&text)).unwrap());
        });
        show(&format!("  beside: serde_json to a value, {size}"), text.len(), serde, None);
    }
    let (parent, child) = (json(LARGE), json(LARGE / 2));
    let parsed = |text: &str| Config::parse(text.as_bytes()).unwrap().0;
    let mut pairs: Vec<_> = (0..31).map(|_| (parsed(&parent), parsed(&child))).collect();
    let merged = measure(31, 1, || {
        let (parent, child) = pairs.pop().unwrap();
        // The result is dropped by its owner, not by the merge.
        std::mem::forget(black_box(merge::merge(parent, child, false).unwrap()));
    });
    good &= show(
        "merge of parsed configs, 1 MiB and half of it",
        parent.len() + child.len(),
        merged,
        Some(milli(2)),
    );
    for (size, count, batch, plain, packed) in
        [("10 KiB", SMALL, 20, None, None), ("1 MiB", LARGE, 1, Some(milli(25)), Some(milli(60)))]
    {
        let text = yaml(count);
        for (how, no_compression, bound) in [("without", true, plain), ("with", false, packed)] {
            let options = butane::Options { no_compression, ..butane::Options::default() };
            let made = measure(15, batch, || {
                black_box(butane::transpile(black_box(text.as_bytes()), &options).unwrap());
            });
            good &= show(&format!("Butane, {how} compression, {size}"), text.len(), made, bound);
        }
    }
    println!(
        "  recorded: Butane 469 ms without and 944 ms with compression of 1 MiB, 4.8 and 14.8 ms of 10 KiB"
    );
    let text = deploy_host();
    let fuze = measure(31, 200, || {
        black_box(fuze::transpile(black_box(text.as_bytes())).unwrap());
    });
    let bound = Duration::from_nanos(5_000 * text.len() as u64 / 1024);
    good &= show("Fuze, a deploy host (5 µs per KiB)", text.len(), fuze, Some(bound));
    let text = links(3000);
    let linked = measure(15, 1, || {
        black_box(ignition::check(black_box(text.as_bytes())));
    });
    good &= show("3000 files and 3000 links", text.len(), linked, Some(milli(10)));
    good
}

fn ign() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("IGN") {
        return Some(path.into());
    }
    let beside = std::env::current_exe().ok()?.parent()?.join("ign");
    beside.exists().then_some(beside)
}

fn peer() -> Option<PathBuf> {
    let base = std::env::var_os("KPC_PEERS_DIR").map_or_else(|| PathBuf::from("target/peers"), PathBuf::from);
    ["root/usr/bin/ignition-validate", "usr/bin/ignition-validate"]
        .into_iter()
        .map(|name| base.join(name))
        .find(|path| path.exists())
}

/// Median wall time of a process.
fn process(program: &Path, arguments: &[&str]) -> Duration {
    let mut times: Vec<Duration> = (0..41)
        .map(|_| {
            let before = Instant::now();
            let status =
                Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.expect("the program starts");
            before.elapsed()
        })
        .collect();
    times.sort();
    times.get(20).copied().unwrap_or_default()
}

fn processes() -> bool {
    let folder = tempfile::tempdir().expect("a directory for the inputs");
    let Some(ign) = ign() else {
        println!(
            "whole processes: skipped, no `ign` beside this binary (cargo build --profile bench -p ign, or IGN=path)"
        );
        return true;
    };
    let size = ign.metadata().map(|meta| meta.len()).unwrap_or_default();
    let small = size <= 6_000_000;
    let mut good = small;
    println!(
        "binary {} octets {}",
        size,
        if small { "holds 6 MB" } else { "misses 6 MB (the release profile strips and has fat LTO)" }
    );
    for (size, count, bound) in [("10 KiB", SMALL, Some(Duration::from_millis(2))), ("1 MiB", LARGE, None)] {
        let path = folder.path().join("config.ign");
        std::fs::write(&path, json(count)).unwrap();
        let file = path.to_str().unwrap_or_default();
        let ours = process(&ign, &["validate", file]);
        let verdict =
            bound.map(|bound| if ours <= bound { "holds 2 ms" } else { "misses 2 ms" }).unwrap_or_default();
        good &= bound.is_none_or(|bound| ours <= bound);
        match peer() {
            Some(peer) => {
                let theirs = process(&peer, &[file]);
                let ratio = theirs.as_secs_f64() / ours.as_secs_f64();
                println!(
                    "whole process, {size}: {ours:.1?} {verdict}; ignition-validate {theirs:.1?}, {ratio:.1} times as long"
                );
            }
            None => println!(
                "whole process, {size}: {ours:.1?} {verdict}; ignition-validate: not unpacked (cargo xtask deps)"
            ),
        }
    }
    good
}

fn main() -> std::process::ExitCode {
    let good = in_process();
    let fast = processes();
    if fast && good { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
