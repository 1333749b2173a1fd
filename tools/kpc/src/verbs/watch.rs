//! `kpc watch`: one line a machine, moving through the phases. On a terminal the lines stay in place; elsewhere each
//! change is a line of its own.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use fleet::attempt::Phase;
use fleet::{Lifecycle, MachineStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::client::Client;
use crate::verbs::status::{Shown, table, time};
use crate::verbs::{Verdict, say};

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

/// How a watch is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Lines for people.
    Text,
    /// One JSON object a change.
    Json,
}

/// Follows the machines of these names (all that have an order, where none is named) in words.
pub(crate) async fn watch(client: &Client, ending: Ending, names: &[String]) -> Verdict {
    follow(client, ending, names, Look::Text).await
}

/// Follows machines. Returns 1 when one has failed, or one that is named ended without being registered.
pub(crate) async fn follow(client: &Client, ending: Ending, names: &[String], look: Look) -> Verdict {
    let mut events = client.events().await?;
    let mut view = View::new(look);
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
        view.update(&machines)?;
        let standings: Vec<Standing> = machines.iter().map(standing).collect();
        if ending == Ending::WhenDone && !standings.contains(&Standing::Moving) {
            view.finish();
            match look {
                Look::Text if machines.is_empty() => say("no machine has an order")?,
                Look::Text => say(table(&machines).trim_end())?,
                Look::Json => {}
            }
            let gone = machines.len() < names.len();
            let ended = !names.is_empty() && standings.contains(&Standing::Ended);
            return Ok(u8::from(gone || ended || standings.contains(&Standing::Failed)));
        }
        tokio::select! {
            event = events.next() => if event.is_none() {
                return Err("the server has ended the stream".to_owned());
            },
            () = tokio::time::sleep(REFRESH) => {}
        }
    }
}

/// What a watch waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// Its order is open, and what was ordered has not come about.
    Moving,
    /// Registered under its latest order.
    Registered,
    /// A person should look.
    Failed,
    /// Its order ended without a registration.
    Ended,
}

/// A machine that is done again stays registered from before until its new system registers: its order and its phase
/// tell.
fn standing(machine: &MachineStatus) -> Standing {
    if machine.failed.is_some() {
        return Standing::Failed;
    }
    let order = machine.order.as_ref().map_or("", |order| order.state.as_str());
    let registered = machine.lifecycle == Lifecycle::Registered
        && order != "armed"
        && matches!(machine.phase, None | Some(Phase::Registered));
    match order {
        _ if registered => Standing::Registered,
        "armed" | "claimed" | "granted" | "done" => Standing::Moving,
        _ => Standing::Ended,
    }
}

/// Lines on a terminal, or a log of changes.
struct View {
    look: Look,
    bars: Option<MultiProgress>,
    lines: BTreeMap<String, (Option<ProgressBar>, String)>,
}

impl View {
    fn new(look: Look) -> Self {
        let bars = (look == Look::Text && std::io::stdout().is_terminal()).then(MultiProgress::new);
        Self { look, bars, lines: BTreeMap::new() }
    }

    fn update(&mut self, machines: &[MachineStatus]) -> Result<(), String> {
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
                if self.look == Look::Json {
                    say(serde_json::to_string(machine).map_err(|error| error.to_string())?)?;
                } else {
                    let after = machine.phases.last().map_or(0, |reached| reached.after_ms);
                    say(format_args!("{:<width$}  {}  {words}", machine.name, time(after)))?;
                }
            }
            *before = words;
        }
        Ok(())
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
    match (&machine.failed, standing(machine), machine.address) {
        (Some(why), _, _) => format!("FAILED at {phase}: {why}"),
        (None, Standing::Registered, Some(address)) => format!("registered at {address}"),
        (None, Standing::Ended, _) => match &machine.order {
            Some(order) => format!("order {}", order.state),
            None => phase,
        },
        _ => phase,
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix}  [{bar:24}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▌ ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{Fleet, NewMachine, Role, Selector, Timestamp};

    fn shown(fleet: &Fleet) -> MachineStatus {
        fleet.status(Timestamp::from_millis(2)).remove(0)
    }

    /// DESIGN 3: `--watch` ends when each machine is registered under this order, or will not be.
    #[test]
    fn a_machine_is_done_by_its_order() {
        let mut fleet = Fleet::new(fleet::Config::default());
        let now = Timestamp::from_millis(1);
        let who = || Selector::Names(vec!["n1".to_owned()]);
        let new = NewMachine {
            name: "n1".to_owned(),
            macs: vec!["52:54:00:00:00:21".parse().unwrap()],
            ..NewMachine::default()
        };
        fleet.command(now, "test", fleet::Command::AddMachine(new)).unwrap();
        assert_eq!(standing(&shown(&fleet)), Standing::Ended);
        let order = fleet::Provision::new(who(), "live", Role::Live);
        fleet.command(now, "test", fleet::Command::Provision(order)).unwrap();
        assert_eq!(standing(&shown(&fleet)), Standing::Moving);

        let mut again = shown(&fleet);
        again.lifecycle = Lifecycle::Registered;
        again.phase = Some(Phase::Registered);
        assert_eq!(standing(&again), Standing::Moving, "registered before, ordered anew");
        let claimed = |again: &mut MachineStatus| again.order.as_mut().unwrap().state = "claimed".to_owned();
        claimed(&mut again);
        assert_eq!(standing(&again), Standing::Registered);
        again.phase = Some(Phase::Script);
        assert_eq!(standing(&again), Standing::Moving);
        again.failed = Some("stuck".to_owned());
        assert_eq!(standing(&again), Standing::Failed);

        fleet.command(now, "test", fleet::Command::Cancel(who())).unwrap();
        assert_eq!(standing(&shown(&fleet)), Standing::Ended);
        assert_eq!(words(&shown(&fleet)), "order cancelled");
    }
}
