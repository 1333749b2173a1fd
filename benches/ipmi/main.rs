//! IPMI beside its peers, in one run: whole-process `power status`, fleets, requests on one session, a scan.
//!
//! `bench-ipmi [PART…]` with the parts `one`, `fleet`, `late`, `session`, `scan`, `wire`; all of them without a word.
//! Contenders take turns; medians are of the runs, ratios of the pairs. A peer that is missing is left out and said.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod bed;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bed::{Failure, PORT, Run, Sim, addr, bmc, median, now, peer, run, verdict};
use ipmi::driver::{Bmc, BmcConfig, Credentials};
use ipmi::session::Request;
use tokio::net::UdpSocket;

/// One contender: its name, its program, its arguments, a word of each line of an answered host.
type Contender = (&'static str, PathBuf, Vec<String>, &'static str);

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn ours() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe()?.with_file_name("ipmi");
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is missing: cargo build --profile bench -p ipmi", path.display()).into())
    }
}

fn login() -> String {
    format!("-I lanplus -U root -P calvin -C 3 -p {PORT}")
}

fn ipmitool(hosts: &str) -> Vec<String> {
    words(&format!("{} -H {hosts} power status", login()))
}

fn ipmipower(hosts: &[String]) -> Vec<String> {
    let hosts: Vec<_> = hosts.iter().map(|host| format!("{host}:{PORT}")).collect();
    words(&format!("-D LAN_2_0 -I 3 -l ADMIN -u root -p calvin --stat -h {}", hosts.join(",")))
}

/// Runs the contenders in turns; prints a line for each and returns their runs, ours first.
async fn contest(
    title: &str,
    rounds: usize,
    hosts: usize,
    contenders: &[Contender],
) -> Result<Vec<Vec<Run>>, Failure> {
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for ((_, program, arguments, word), runs) in contenders.iter().zip(&mut runs) {
            runs.push(run(word, program, arguments.clone()).await?);
        }
    }
    let own = runs.first().cloned().unwrap_or_default();
    for ((name, ..), runs) in contenders.iter().zip(&runs) {
        let wall = median(runs.iter().map(|run| run.wall * 1e3).collect());
        let cpu = median(runs.iter().map(|run| run.cpu * 1e3).collect());
        let peak = median(runs.iter().map(|run| run.peak).collect());
        let ratios: Vec<f64> = own.iter().zip(runs).map(|(own, run)| own.wall / run.wall).collect();
        let answered = runs.iter().map(|run| run.lines).min().unwrap_or(0);
        println!(
            "{title:<20} {name:<16} {wall:>9.2} ms  cpu {cpu:>9.2} ms  peak {peak:>6.1} MB  \
             answered {answered} of {hosts}  ours/it {:.3}",
            median(ratios)
        );
    }
    Ok(runs)
}

fn ratio(runs: &[Vec<Run>], peer: usize) -> Option<f64> {
    let (own, other) = (runs.first()?, runs.get(peer)?);
    Some(median(own.iter().zip(other).map(|(own, other)| own.wall / other.wall).collect()))
}

/// `power status` of one ipmi_sim, as a whole process.
async fn one() -> Result<(), Failure> {
    let sim = addr(62, 0);
    let Some(_sim) = Sim::start(sim)? else { return Ok(()) };
    let host = sim.ip().to_string();
    for _ in 0..100 {
        if run("Power", &ours()?, ipmitool(&host)).await?.lines == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut contenders: Vec<Contender> = vec![("ours", ours()?, ipmitool(&host), "Power is")];
    if let Some(program) = peer("ipmitool") {
        contenders.push(("ipmitool -C 3", program, ipmitool(&host), "Power is"));
    }
    if let Some(program) = peer("ipmipower") {
        // ipmi_sim echoes the privilege asked for as 0, which FreeIPMI takes amiss without this.
        let mut arguments = ipmipower(std::slice::from_ref(&host));
        arguments.extend(words("-W opensesspriv"));
        contenders.push(("ipmipower", program, arguments, ": o"));
    }
    let runs = contest("one ipmi_sim", 31, 1, &contenders).await?;
    for (peer, (name, ..)) in contenders.iter().enumerate().skip(1) {
        let target = if *name == "ipmipower" { 1.0 } else { 0.125 };
        let ratio = ratio(&runs, peer).unwrap_or(f64::NAN);
        println!("  ours / {name}: {ratio:.3}, target <= {target}: {}", verdict(ratio <= target));
    }
    Ok(())
}

/// `power status` of many BMCs, which live in this process.
async fn fleet() -> Result<(), Failure> {
    for n in 0..1000 {
        bmc(addr(61, n), Duration::ZERO)?;
    }
    for (count, rounds) in [(16usize, 9), (64, 9), (256, 7), (1000, 7)] {
        let hosts: Vec<String> = (0..count).map(|n| addr(61, n).ip().to_string()).collect();
        let mut contenders: Vec<Contender> = vec![("ours", ours()?, ipmitool(&hosts.join(",")), "Power is")];
        if let Some(program) = peer("ipmipower") {
            contenders.push(("ipmipower", program, ipmipower(&hosts), ": on"));
        }
        let title = format!("{count} BMCs");
        let runs = contest(&title, rounds, count, &contenders).await?;
        let answered = runs.iter().flatten().take(rounds).all(|run| run.lines == count);
        let peak = median(runs.first().into_iter().flatten().map(|run| run.peak).collect());
        if let Some(ratio) = ratio(&runs, 1) {
            let holds = answered && (count < 1000 || ratio <= 0.4 && peak <= 20.0);
            println!(
                "  ours / ipmipower: {ratio:.3}, {peak:.1} MB, all answered: {answered}; target at 1000 <= 0.4, \
                 <= 20 MB: {}",
                verdict(holds)
            );
        }
        if let Some(program) = peer("ipmitool") {
            let line = format!(
                "printf '%s\\n' {} | xargs -P16 -I@ {} {} -H @ power status",
                hosts.join(" "),
                program.display(),
                login()
            );
            let contender: Contender =
                ("xargs ipmitool", "/bin/sh".into(), vec!["-c".into(), line], "Power is");
            contest(&title, 1, count, &[contender]).await?;
        }
    }
    Ok(())
}

/// 250 BMCs that answer 10 ms late.
async fn late() -> Result<(), Failure> {
    let hosts: Vec<String> = (0..250).map(|n| addr(63, n).ip().to_string()).collect();
    for n in 0..hosts.len() {
        bmc(addr(63, n), Duration::from_millis(10))?;
    }
    let mut contenders: Vec<Contender> = vec![("ours", ours()?, ipmitool(&hosts.join(",")), "Power is")];
    if let Some(program) = peer("ipmipower") {
        contenders.push(("ipmipower", program, ipmipower(&hosts), ": on"));
    }
    contest("250 BMCs, 10 ms", 7, hosts.len(), &contenders).await?;
    Ok(())
}

/// Requests per second on one session.
async fn session() -> Result<(), Failure> {
    const REQUESTS: usize = 3000;
    let bmc_addr = addr(64, 0);
    bmc(bmc_addr, Duration::ZERO)?;
    let mut library = Vec::new();
    for _ in 0..7 {
        let mut config = BmcConfig::new(bmc_addr, Credentials::new("root", b"calvin")?);
        config.session.suites = vec![ipmi::CipherSuite::SUITE_3];
        let start = now();
        let mut bmc = Bmc::connect(config).await?;
        let requests = (0..REQUESTS).map(|_| Request::new(0x06, 0x01, Vec::new()));
        let answers = bmc.request_all(requests.collect()).await?;
        bmc.close().await;
        if answers.len() == REQUESTS {
            library.push(REQUESTS as f64 / start.elapsed().as_secs_f64());
        }
    }
    let rate = median(library);
    println!("one session          ours, window 8   {rate:>9.0} requests/s, log-in included");
    let folder = tempfile::tempdir()?;
    let (raw, exec) = (folder.path().join("raw"), folder.path().join("exec"));
    std::fs::write(&raw, "0 6 1\n".repeat(REQUESTS))?;
    std::fs::write(&exec, "raw 6 1\n".repeat(REQUESTS))?;
    let host = bmc_addr.ip().to_string();
    let arguments = words(&format!("{} -H {host} exec {}", login(), exec.display()));
    let mut contenders: Vec<Contender> = vec![("ours, exec", ours()?, arguments.clone(), " ")];
    if let Some(program) = peer("ipmi-raw") {
        let arguments = words(&format!(
            "-D LAN_2_0 -I 3 -l ADMIN -u root -p calvin -h {host}:{PORT} --file {}",
            raw.display()
        ));
        contenders.push(("ipmi-raw", program, arguments, "rcvd"));
    }
    if let Some(program) = peer("ipmitool") {
        contenders.push(("ipmitool exec", program, arguments, " "));
    }
    let runs = contest("3000 requests", 7, REQUESTS, &contenders).await?;
    for ((name, ..), runs) in contenders.iter().zip(&runs) {
        let per_second = median(runs.iter().map(|run| run.lines as f64 / run.wall).collect());
        println!("one session          {name:<16} {per_second:>9.0} requests/s, whole process");
        if *name == "ipmi-raw" {
            println!("  ours, window 8 >= ipmi-raw: {}", verdict(rate >= per_second));
        }
    }
    Ok(())
}

/// Datagrams of one `power status`, counted between client and BMC.
async fn wire() -> Result<(), Failure> {
    let (relay, bmc_addr) = (addr(65, 0), addr(65, 1));
    bmc(bmc_addr, Duration::ZERO)?;
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let (outside, counted) = (UdpSocket::bind(relay).await?, Arc::clone(&counts));
    let inside = UdpSocket::bind((relay.ip(), 0)).await?;
    inside.connect(bmc_addr).await?;
    let task = tokio::spawn(async move {
        let (mut client, mut there, mut back) = (None::<SocketAddr>, [0; 2048], [0; 2048]);
        let [asked, answered] = counted.as_ref();
        loop {
            tokio::select! {
                Ok((length, from)) = outside.recv_from(&mut there) => {
                    client = Some(from);
                    asked.fetch_add(1, Ordering::Relaxed);
                    let _ = inside.send(there.get(..length).unwrap_or_default()).await;
                }
                Ok(length) = inside.recv(&mut back) => {
                    answered.fetch_add(1, Ordering::Relaxed);
                    if let Some(client) = client {
                        let _ = outside.send_to(back.get(..length).unwrap_or_default(), client).await;
                    }
                }
            }
        }
    });
    let host = relay.ip().to_string();
    for (name, program) in
        [("ours", Some(ours()?)), ("ipmitool -C 3", peer("ipmitool")), ("ipmipower", peer("ipmipower"))]
    {
        let Some(program) = program else { continue };
        counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        let arguments =
            if name == "ipmipower" { ipmipower(std::slice::from_ref(&host)) } else { ipmitool(&host) };
        let lines = run("o", &program, arguments).await?.lines;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let [asked, answered] = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let target = if name == "ours" { verdict(lines > 0 && asked == 5) } else { "" };
        println!("on the wire          {name:<16} {asked:>3} questions, {answered} answers {target}");
    }
    println!("  target: 4 round trips and a Close Session that is not waited for: 5 questions");
    task.abort();
    Ok(())
}

/// `--serve`: a hundred BMCs in this network namespace, once standard input says that it has its addresses.
async fn serve() -> Result<(), Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    for n in 1..=100u8 {
        bmc(SocketAddr::from(([10, 100, 0, n], 623)), Duration::ZERO)?;
    }
    println!("ready");
    std::future::pending::<()>().await;
    Ok(())
}

fn ip(arguments: &str) -> Result<(), Failure> {
    let status = Command::new("ip").args(words(arguments)).status()?;
    if status.success() { Ok(()) } else { Err(format!("ip {arguments} failed").into()) }
}

/// `--scan`, in a network namespace of its own: a /24 with 100 BMCs behind a veth pair.
async fn scan_here() -> Result<(), Failure> {
    let exe = std::env::current_exe()?;
    let mut child = Command::new("unshare")
        .args([Path::new("--net"), &exe, Path::new("--serve")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let outcome = scan_with(&mut child).await;
    let _ = child.kill(); // it may have ended
    let _ = child.wait();
    outcome
}

async fn scan_with(child: &mut std::process::Child) -> Result<(), Failure> {
    tokio::time::sleep(Duration::from_millis(300)).await; // until `unshare` has its namespace
    let pid = child.id();
    ip(&format!("link add bench0 type veth peer name bench1 netns {pid}"))?;
    ip("link set lo up")?;
    ip("addr add 10.100.0.254/24 dev bench0")?;
    ip("link set bench0 up")?;
    let mut inside = String::from("ip link set lo up; ip link set bench1 up;");
    for n in 1..=100 {
        inside.push_str(&format!("ip addr add 10.100.0.{n}/24 dev bench1;"));
    }
    let status = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--net", "sh", "-c", &inside])
        .status()?;
    if !status.success() {
        return Err("addresses for the BMCs".into());
    }
    child.stdin.take().ok_or("no input")?.write_all(b"go\n")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let range = "10.100.0.1-254";
    let mut contenders: Vec<Contender> =
        vec![("ours", ours()?, words(&format!("scan {range} --json")), "address")];
    if let Some(program) = peer("nmap") {
        contenders.push(("nmap -sU", program, words(&format!("-sU -n -p 623 -oG - {range}")), "623/open"));
    }
    let runs = contest("scan of a /24", 5, 100, &contenders).await?;
    let own: Vec<Run> = runs.into_iter().next().unwrap_or_default();
    let wall = median(own.iter().map(|run| run.wall).collect());
    let found = own.iter().all(|run| run.lines == 100);
    println!(
        "  {wall:.3} s, 100 of 100 every time: {found}; target <= 0.6 s: {}",
        verdict(found && wall <= 0.6)
    );
    Ok(())
}

fn scan() -> Result<(), Failure> {
    let status = Command::new("unshare")
        .args([Path::new("--net"), &std::env::current_exe()?, Path::new("--scan")])
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => {
            println!("scan of a /24: left out; it needs root, unshare and ip");
            Ok(())
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "--measure" => return bed::measure(rest),
        Some((first, _)) if first == "--serve" => return serve().await,
        Some((first, _)) if first == "--scan" => return scan_here().await,
        _ => {}
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|word| word == part);
    if wanted("one") {
        one().await?;
    }
    if wanted("wire") {
        wire().await?;
    }
    if wanted("session") {
        session().await?;
    }
    if wanted("late") {
        late().await?;
    }
    if wanted("scan") {
        scan()?;
    }
    if wanted("fleet") {
        fleet().await?;
    }
    Ok(())
}
