//! `test`: what CI runs. Fast steps first; a table of times at the end.

use std::time::Instant;

use crate::run::{self, Outcome};
use crate::{ci, deps, interop, readme};

/// A named step of the whole run, with the minutes it should take at most on two cores.
type Step = (&'static str, f64, fn() -> Outcome);

/// Minutes that the whole run may take.
const TOTAL: f64 = 40.0;

/// The verb.
pub(crate) fn run() -> Outcome {
    let steps: [Step; 5] = [
        ("deps", 3.0, deps::run),
        ("ci", 10.0, ci::run),
        ("unit", 8.0, ci::unit),
        ("interop and lab", 15.0, || interop::run(&[])),
        ("readme", 4.0, || readme::run(&[])),
    ];
    let (mut rows, mut failed, mut total) = (Vec::new(), Vec::new(), 0.0);
    for (name, limit, step) in steps {
        println!("=== {name}");
        let start = Instant::now();
        if let Err(message) = step() {
            eprintln!("error: {name}: {message}");
            failed.push(name);
        }
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        total += minutes;
        let word = if failed.contains(&name) {
            "FAILED"
        } else if minutes > limit {
            "OVER"
        } else {
            ""
        };
        rows.push(format!("{name:<18}{minutes:>6.1}{limit:>8.0}  {word}"));
    }
    println!("\nstep              minutes   limit");
    for row in &rows {
        println!("{}", row.trim_end());
    }
    println!("{:<18}{total:>6.1}{TOTAL:>8.0}", "total");
    if run::corpora().is_none() {
        println!("skipped: tests over the shared corpora (set CONFORMANCE_DIR to run them)");
    }
    if total > TOTAL {
        failed.push("total time");
    }
    println!("{} passed, {} failed", rows.len() + 1 - failed.len(), failed.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}
