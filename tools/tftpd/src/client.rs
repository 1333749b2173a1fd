//! `tftpd get` and `tftpd put`.

use crate::args::{Get, Put, Transfer, Verb};
use crate::give_up;
use crate::url::TftpUrl;
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tftp::driver::{ClientConfig, Opened, Progress, Summary, get, put};
use tftp::wire::{BlockSize, TimeoutSeconds, WindowSize};

/// How long a last block that comes again is still acknowledged.
const DALLY: Duration = Duration::from_millis(50);
/// Columns of the progress bar.
const BAR: u64 = 30;

/// Gets or puts one file.
pub(crate) fn run(verb: Verb) -> ExitCode {
    let done = match verb {
        Verb::Get(args) => get_file(args),
        Verb::Put(args) => put_file(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(error.as_ref(), crate::FAILED),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn get_file(args: Get) -> Result<(), Box<dyn Error>> {
    let url = TftpUrl::parse(&args.url)?;
    let (server, config) = (url.address()?, config(&args.transfer, &url));
    let output = match args.output {
        Some(output) => output,
        None => default_name(&url)?,
    };
    if output == Path::new("-") {
        let summary = get(server, &url.path, &config, &mut tokio::io::stdout()).await?;
        report(&args.transfer, "got", &summary);
        return Ok(());
    }
    // The file appears when it is complete, and not at all if the transfer fails.
    let mut part = output.clone().into_os_string();
    part.push(".part");
    let cannot = |error| format!("cannot write {}: {error}", part.display());
    let mut file = tokio::fs::File::create(&part).await.map_err(cannot)?;
    let done = get(server, &url.path, &config, &mut file).await;
    let done = match done {
        Ok(summary) => tokio::fs::rename(&part, &output).await.map(|()| summary).map_err(Into::into),
        Err(error) => Err(Box::<dyn Error>::from(error)),
    };
    match done {
        Ok(summary) => report(&args.transfer, "got", &summary),
        Err(error) => {
            let _ = tokio::fs::remove_file(&part).await;
            return Err(format!("{}: {error}", args.url).into());
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn put_file(args: Put) -> Result<(), Box<dyn Error>> {
    let url = TftpUrl::parse(&args.url)?;
    let (server, config) = (url.address()?, config(&args.transfer, &url));
    let cannot = |error| format!("cannot read {}: {error}", args.input.display());
    let opened = if args.input == Path::new("-") {
        Opened::stream(tokio::io::stdin(), None)
    } else {
        std::fs::File::open(&args.input).and_then(Opened::file).map_err(cannot)?
    };
    let summary = put(server, &url.path, &config, opened).await;
    let summary = summary.map_err(|error| format!("{}: {error}", args.url))?;
    report(&args.transfer, "put", &summary);
    Ok(())
}

fn config(transfer: &Transfer, url: &TftpUrl) -> ClientConfig {
    ClientConfig {
        mode: url.mode,
        block_size: BlockSize::new(transfer.blksize).filter(|&size| size != BlockSize::DEFAULT),
        window_size: WindowSize::new(transfer.windowsize),
        timeout: transfer.timeout.and_then(TimeoutSeconds::new),
        dally: DALLY,
        progress: (!transfer.quiet && std::io::stderr().is_terminal()).then(bar),
        ..ClientConfig::default()
    }
}

/// The last part of the path.
fn default_name(url: &TftpUrl) -> Result<PathBuf, Box<dyn Error>> {
    let path = String::from_utf8_lossy(&url.path).into_owned();
    let name =
        Path::new(&path).file_name().ok_or("the path ends without a file name: name one with --output")?;
    Ok(PathBuf::from(name))
}

fn bar() -> Progress {
    Arc::new(|octets, length| {
        let line = match length.filter(|&length| length > 0) {
            Some(length) => {
                let done = (octets.min(length) * BAR / length) as usize;
                let percent = octets.min(length) * 100 / length;
                format!("\r[{}{}] {percent:3} % {octets}", "#".repeat(done), " ".repeat(BAR as usize - done))
            }
            None => format!("\r{octets} octets"),
        };
        // A terminal that is gone is no reason to stop.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    })
}

fn report(transfer: &Transfer, what: &str, summary: &Summary) {
    let (octets, blocks, retransmits) = (summary.octets, summary.blocks, summary.retransmits);
    let seconds = summary.duration.as_secs_f64();
    if !transfer.quiet {
        let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        let _ = std::io::stderr().lock().write_all(clear.as_bytes());
        tracing::info!(octets, blocks, retransmits, seconds, "{what}");
    }
}
