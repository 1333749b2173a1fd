//! `test`: what CI runs. Fast steps first; a table of times at the end.

use std::time::Instant;

use crate::run::Outcome;
use crate::{ci, interop, readme};

/// A named step of the whole run.
type Step = (&'static str, fn() -> Outcome);

/// The verb.
pub(crate) fn run() -> Outcome {
    let steps: [Step; 4] = [
        ("ci", ci::run),
        ("unit", ci::unit),
        ("interop and lab", || interop::run(&[])),
        ("readme", || readme::run(&[])),
    ];
    let mut times = Vec::new();
    let mut failed = Vec::new();
    for (name, step) in steps {
        println!("=== {name}");
        let start = Instant::now();
        let outcome = step();
        times.push((name, start.elapsed()));
        if let Err(message) = outcome {
            eprintln!("error: {name}: {message}");
            failed.push(name);
        }
    }
    println!("\nstep              minutes");
    for (name, time) in &times {
        println!(
            "{name:<18}{:>6.1}{}",
            time.as_secs_f64() / 60.0,
            if failed.contains(name) { "  FAILED" } else { "" }
        );
    }
    println!("{} passed, {} failed", times.len() - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}
