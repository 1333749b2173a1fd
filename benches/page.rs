//! How soon the page shows what happens on the wire while a thousand machines boot at once: `kpc lab up --no-vm` from
//! outside. Each simulated machine notes when it sends a packet that shows progress; a reader of the page's feed notes
//! when that machine's row first shows it. The same run gives the time of all boots. No peer does this.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use kpc_benches::shipped;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Failure = Box<dyn std::error::Error>;

/// Machines, all powered on at once.
const MACHINES: &str = "1000";
/// Runs; each has to hold.
const RUNS: usize = 3;
/// Issue 9: from the order to the last registration.
const BOOTS: Duration = Duration::from_secs(10);
/// Issue 9: from the packet to the row, for 99 of 100.
const SHOWN: Duration = Duration::from_millis(100);
/// How long anything of it may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// What packets show, in the page's words.
const PHASES: [&str; 5] = ["seen", "loader", "script", "agent", "registered"];
/// After the last registration: the feed catches up, and the server says what it holds.
const AFTER: &str = "sleep 1; grep VmRSS /proc/$KPC_SERVE_PID/status";

fn main() -> ExitCode {
    let mut good = true;
    for number in 1..=RUNS {
        match run() {
            Ok(held) => good &= held,
            Err(error) => {
                println!("bench-page: run {number}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A lab, ended with this.
struct Lab(Child);

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.0.kill(); // everything inside ends with it
        let _ = self.0.wait();
    }
}

fn run() -> Result<bool, Failure> {
    let kpc = shipped("kpc")?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(&kpc);
    command.args(["lab", "up", "--no-vm", "-n", MACHINES, "--once", "--timeout", "60s", "--exec", AFTER]);
    command.arg("--dir").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut lab = Lab(command.spawn().map_err(|error| format!("{}: {error}", kpc.display()))?);
    let (said, lines) = mpsc::channel();
    let output = lab.0.stdout.take().ok_or("no output")?;
    let reader = std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(said.send(line)));
    });
    let address = address(&lines)?;
    let read = read_feed(&address, &token(folder.path())?)?;
    let status = lab.0.wait()?;
    reader.join().map_err(|_| "the reader of the output failed")?;
    let lines: Vec<String> = lines.try_iter().collect();
    if !status.success() {
        return Err(format!("the lab ended with {status}:\n{}", lines.join("\n")).into());
    }
    let sent = std::fs::read_to_string(folder.path().join("logs/sent.tsv"))?;
    judge(&lines, &sent, &read)
}

/// The page's address, from the first line.
fn address(lines: &Receiver<String>) -> Result<String, Failure> {
    let line = lines.recv_timeout(PATIENCE)?;
    let address = line.split_once("http://").and_then(|(_, rest)| rest.split('/').next());
    Ok(address.ok_or(format!("no address of the page: {line}"))?.to_owned())
}

/// What a person signs in with, once the server has written it.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn token(folder: &Path) -> Result<String, Failure> {
    let (path, began) = (folder.join("state/page-token"), std::time::Instant::now());
    loop {
        match std::fs::read_to_string(&path) {
            Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
            _ if began.elapsed() > PATIENCE => return Err("the server wrote no page-token".into()),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Parts of the feed as they came, each with the microsecond.
type Parts = Vec<(u64, Vec<u8>)>;

/// Signs in and reads the feed to its end. Nothing is parsed meanwhile: the lab has the processors.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn read_feed(address: &str, token: &str) -> Result<Parts, Failure> {
    let ask = |request: String| -> Result<TcpStream, Failure> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    };
    let body = format!("token={token}");
    let length = body.len();
    let mut answer = String::new();
    ask(format!("POST /login HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"))?
        .read_to_string(&mut answer)?;
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    let cookie = cookie.ok_or_else(|| format!("no sign-in: {answer}"))?;
    let mut feed = ask(format!("GET /feed HTTP/1.0\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n"))?;
    let (mut parts, mut part) = (Parts::new(), vec![0; 1 << 20]);
    loop {
        match feed.read(&mut part) {
            Ok(0) => return Ok(parts),
            Ok(length) => parts.push((micros(), part.get(..length).unwrap_or_default().to_vec())),
            // The server was ended with its lab.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(parts),
            Err(error) => return Err(error.into()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// When each machine's row first showed each phase.
fn first_shown(parts: &[(u64, Vec<u8>)]) -> HashMap<(String, &'static str), u64> {
    let (mut shown, mut buffer) = (HashMap::new(), Vec::new());
    for (at, part) in parts {
        buffer.extend_from_slice(part);
        let Some(end) = buffer.windows(2).rposition(|pair| pair == b"\n\n") else { continue };
        let whole: Vec<u8> = buffer.drain(..end + 2).collect();
        for line in String::from_utf8_lossy(&whole).lines().filter_map(|line| line.strip_prefix("data: ")) {
            let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            for row in message.get("rows").and_then(|rows| rows.as_array()).into_iter().flatten() {
                let text = |at| row.get(at).and_then(|value: &serde_json::Value| value.as_str());
                let (Some(name), Some(html)) = (text(0), text(1)) else { continue };
                let bar = html.split_once("aria-label=\"").and_then(|(_, rest)| rest.split('"').next());
                for said in bar.into_iter().flat_map(|bar| bar.split(", ")) {
                    if let Some(phase) = PHASES.into_iter().find(|phase| said.starts_with(phase)) {
                        shown.entry((name.to_owned(), phase)).or_insert(*at);
                    }
                }
            }
        }
    }
    shown
}

/// Says what was measured; whether it is good enough.
fn judge(lines: &[String], sent: &str, read: &[(u64, Vec<u8>)]) -> Result<bool, Failure> {
    let shown = first_shown(read);
    let mut first: HashMap<(&str, &'static str), u64> = HashMap::new();
    for line in sent.lines() {
        let mut fields = line.split('\t');
        let (Some(at), Some(name), Some(phase)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(format!("logs/sent.tsv: {line}").into());
        };
        let phase = PHASES.into_iter().find(|known| *known == phase).ok_or("logs/sent.tsv: a new phase")?;
        first.entry((name, phase)).or_insert(at.parse()?);
    }
    let (mut all, mut missing, mut by_phase) = (Vec::new(), 0, HashMap::<&str, Vec<u64>>::new());
    for ((name, phase), at) in &first {
        match shown.get(&((*name).to_owned(), *phase)) {
            Some(seen) => {
                all.push(seen.saturating_sub(*at));
                by_phase.entry(phase).or_default().push(seen.saturating_sub(*at));
            }
            None => missing += 1,
        }
    }
    let summary = lines.iter().find(|line| line.contains("timelines whole")).ok_or("no summary")?;
    let took = since_the_order(summary).ok_or_else(|| format!("no time: {summary}"))?;
    println!("{}; target {BOOTS:?}", summary.trim());
    for phase in PHASES {
        if let Some(times) = by_phase.get_mut(phase) {
            println!("  {phase:<12}{}", figures(times));
        }
    }
    println!("  {:<12}{}, target p99 {SHOWN:?}, {missing} never shown", "all", figures(&mut all));
    if let Some(line) = lines.iter().find_map(|line| line.strip_prefix("VmRSS:")) {
        println!("  the server afterwards: {} resident", line.trim());
    }
    Ok(missing == 0 && took <= BOOTS && Duration::from_micros(percentile(&all, 99)) <= SHOWN)
}

/// The lab's own time of it, `MINUTES:SECONDS`.
fn since_the_order(summary: &str) -> Option<Duration> {
    let (minutes, seconds) = summary.split_whitespace().next()?.split_once(':')?;
    Some(
        Duration::from_secs(minutes.parse::<u64>().ok()? * 60)
            + Duration::from_secs_f64(seconds.parse().ok()?),
    )
}

/// Sorts, and says median, 99th percentile and worst.
fn figures(times: &mut [u64]) -> String {
    times.sort_unstable();
    let millis = |at: usize| Duration::from_micros(percentile(times, at)).as_secs_f64() * 1000.0;
    let (p50, p99, worst) = (millis(50), millis(99), millis(100));
    format!("{:>5} events, p50 {p50:6.1} ms, p99 {p99:6.1} ms, worst {worst:6.1} ms", times.len())
}

/// Of sorted values.
fn percentile(sorted: &[u64], at: usize) -> u64 {
    sorted.get((sorted.len().saturating_sub(1)) * at / 100).copied().unwrap_or_default()
}
