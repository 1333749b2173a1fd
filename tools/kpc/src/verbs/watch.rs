//! `kpc watch`: one line a machine, moving through the phases. On a terminal the lines stay in place; elsewhere each
//! change is a line of its own.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use fleet::attempt::Phase;
use fleet::{Lifecycle, MachineStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::client::Client;
use crate::verbs::Verdict;
use crate::verbs::status::{Shown, table, time};

/// How often the state is read where no event came: elapsed times move on.
const REFRESH: Duration = Duration::from_millis(500);

/// When a watch ends by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// Never.
    Never,
    /// When every machine that is watched is registered or has failed.
    WhenDone,
}

/// Follows the machines of these names (all, where none is named). Returns 1 when one has failed.
pub(crate) async fn watch(client: &Client, ending: Ending, names: &[String]) -> Verdict {
    let mut events = client.events().await?;
    let mut view = View::new();
    loop {
        let shown: Shown = client.get("/v1/machines").await?;
        let machines: Vec<MachineStatus> =
            shown
                .machines
                .into_iter()
                .filter(|machine| {
                    if names.is_empty() { machine.order.is_some() } else { names.contains(&machine.name) }
                })
                .collect();
        view.update(&machines);
        let done = machines
            .iter()
            .all(|machine| machine.lifecycle == Lifecycle::Registered || machine.failed.is_some());
        if ending == Ending::WhenDone && done && !machines.is_empty() {
            view.finish();
            print!("{}", table(&machines));
            return Ok(u8::from(machines.iter().any(|machine| machine.failed.is_some())));
        }
        tokio::select! {
            event = events.next() => if event.is_none() {
                return Err("the server has ended the stream".to_owned());
            },
            () = tokio::time::sleep(REFRESH) => {}
        }
    }
}

/// Lines on a terminal, or a log of changes.
struct View {
    bars: Option<MultiProgress>,
    lines: BTreeMap<String, (Option<ProgressBar>, String)>,
}

impl View {
    fn new() -> Self {
        let bars = std::io::stdout().is_terminal().then(MultiProgress::new);
        Self { bars, lines: BTreeMap::new() }
    }

    fn update(&mut self, machines: &[MachineStatus]) {
        let width = machines.iter().map(|machine| machine.name.len()).max().unwrap_or(0);
        for machine in machines {
            let bars = self.bars.as_ref();
            let (bar, before) = self.lines.entry(machine.name.clone()).or_insert_with(|| {
                let bar =
                    bars.map(|bars| bars.add(ProgressBar::new(Phase::ALL.len() as u64).with_style(style())));
                (bar, String::new())
            });
            let words = words(machine);
            if let Some(bar) = bar {
                bar.set_prefix(format!("{:<width$}", machine.name));
                bar.set_position(machine.phase.map_or(0, |phase| phase as u64 + 1));
                bar.set_message(format!("{}  {words}", time(machine.elapsed_ms)));
            } else if *before != words {
                let after = machine.phases.last().map_or(0, |reached| reached.after_ms);
                println!("{:<width$}  {}  {words}", machine.name, time(after));
            }
            *before = words;
        }
    }

    fn finish(&self) {
        for (bar, _) in self.lines.values() {
            if let Some(bar) = bar {
                bar.finish();
            }
        }
    }
}

fn words(machine: &MachineStatus) -> String {
    let phase = match (machine.phase, machine.progress) {
        (Some(Phase::Writing), Some(percent)) => format!("writing {percent}%"),
        (Some(phase), _) => phase.words().to_owned(),
        (None, _) => "waiting".to_owned(),
    };
    match (&machine.failed, machine.lifecycle, machine.address) {
        (Some(why), _, _) => format!("FAILED at {phase}: {why}"),
        (None, Lifecycle::Registered, Some(address)) => format!("registered at {address}"),
        _ => phase,
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix}  [{bar:24}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▌ ")
}
