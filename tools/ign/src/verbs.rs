//! What each verb does.

use ignition::Report;

use crate::args::{Dialect, Verb};
use crate::config::{Input, Job};
use crate::print;

/// Runs the job; `false` when an input is invalid.
pub(crate) fn run(job: &Job) -> Result<bool, String> {
    match &job.verb {
        Verb::Validate { files, source, strict } => {
            let mut good = true;
            for file in files {
                let input = Input::read(file)?;
                let report = match input.dialect(source.dialect) {
                    Dialect::Fuze => ignition::fuze::parse(&input.octets).err().unwrap_or_default(),
                    Dialect::Auto | Dialect::Ignition => ignition::check(&input.octets).1,
                };
                print::report(&input, &report, job.report);
                good &= print::passes(&report, *strict);
            }
            Ok(good)
        }
        Verb::Transpile { file, source } => {
            let input = Input::read(file)?;
            let made: Result<Vec<u8>, Report> = match input.dialect(source.dialect) {
                Dialect::Fuze => ignition::fuze::transpile(&input.octets),
                Dialect::Auto | Dialect::Ignition => match ignition::check(&input.octets).1 {
                    report if report.is_fatal() => Err(report),
                    _ => Ok(input.octets.clone()),
                },
            };
            match made {
                Ok(octets) => {
                    println!("{}", String::from_utf8_lossy(&octets));
                    Ok(true)
                }
                Err(report) => {
                    print::report(&input, &report, crate::args::ReportForm::Text);
                    Ok(false)
                }
            }
        }
    }
}
