//! `kpc assets`: images for the machines. A file is fetched beside the assets folder, and comes into it only after its
//! signature and digest were checked; a download that was cut goes on where it stopped.

pub(crate) mod agent;
mod fetch;
mod known;
mod manifest;
mod signature;
mod sums;

use std::path::{Path, PathBuf};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::Failure;
use crate::args::{Assets, AssetsAdd, AssetsVerify, Common};
use crate::config::DEFAULT_DATA_DIR;
use crate::verbs::say;
use fetch::Source;
pub(crate) use manifest::IMAGE;
use manifest::{Entry, Manifest};
use signature::Keys;
use sums::{Digests, Proof};

/// Where `assets` puts what.
struct Places {
    /// Served to machines.
    assets: PathBuf,
    /// Not served: what is on its way.
    incoming: PathBuf,
    /// Keys that were named with --key.
    keys: PathBuf,
}

impl Places {
    /// As the configuration says; without one, as its defaults are.
    fn of(common: &Common) -> Result<Self, Failure> {
        let (data, assets) = if common.config.exists() {
            let config = crate::config::load(common).map_err(Failure::Configuration)?;
            (config.data_dir.clone(), config.assets())
        } else if common.config == Path::new(crate::args::DEFAULT_CONFIG) {
            let data = common.data_dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
            (data.clone(), data.join("assets"))
        } else {
            return Err(Failure::Configuration(format!(
                "{}: no such file; `kpc init` makes it",
                common.config.display()
            )));
        };
        // Renamed at the end, so on one file system with the assets.
        let mut incoming = assets.clone().into_os_string();
        incoming.push(".incoming");
        Ok(Self { assets, incoming: incoming.into(), keys: data.join("keys") })
    }
}

/// The verb.
pub(crate) fn assets(common: &Common, verb: &Assets) -> Result<u8, Failure> {
    let places = Places::of(common)?;
    match verb {
        Assets::Add(add) if add.name == agent::NAME && add.from.is_none() && add.url.is_none() => {
            Ok(make_agent(&places, add)?)
        }
        Assets::Add(add) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            Ok(runtime.block_on(bring(&places, add))?)
        }
        Assets::List(listing) => list(&places, listing.json).map_err(Failure::Other),
        Assets::Verify(verify) => check(&places, verify).map_err(Failure::Other),
    }
}

/// The system that installs machines, from this host's own parts.
fn make_agent(places: &Places, add: &AssetsAdd) -> Result<u8, String> {
    let made = agent::make(&agent::Host::here(), &places.assets, &places.incoming)?;
    if add.json {
        say(serde_json::to_string_pretty(&made.manifest).map_err(|error| error.to_string())?)?;
        return Ok(0);
    }
    for entry in &made.manifest.files {
        let what = match entry.name.as_str() {
            "vmlinuz" => format!("linux {}", made.kernel),
            "initrd.img" => format!("{} drivers and kpc-agent", made.modules),
            _ => "for distributions' own installers".to_owned(),
        };
        say(format_args!("  {:<52} {:>9}  {what}", format!("agent  {}", entry.name), size(entry.octets)))?;
    }
    Ok(0)
}

async fn bring(places: &Places, add: &AssetsAdd) -> Result<u8, String> {
    manifest::check_name(&add.name)?;
    let plan = known::plan(add)?;
    let folder = places.assets.join(&add.name);
    let incoming = places.incoming.join(&add.name);
    std::fs::create_dir_all(&incoming).map_err(|error| format!("{}: {error}", incoming.display()))?;
    let mut keys = Keys::read(&places.keys.join(&add.name), &add.keys)?;
    if let Some(pin) = plan.pin {
        keys.pin(pin, &plan.source, &incoming).await;
    }
    let names = if plan.files.is_empty() { plan.source.listed()? } else { plan.files.clone() };
    let digests = Digests::fetch(&plan.source, &incoming, &keys).await?;
    let bars = Bars::new(add.json);
    let mut entries = Vec::new();
    for name in &names {
        entries.push(one(&plan.source, name, &incoming, &folder, &keys, &digests, add, &bars).await?);
    }
    keys.keep(&places.keys.join(&add.name))?;
    let mut manifest = Manifest::read(&folder)?.unwrap_or_else(|| Manifest::new(&add.name));
    manifest.channel.clone_from(&plan.channel);
    manifest.take(entries, plan.image.as_deref());
    manifest.write(&folder)?;
    let _ = std::fs::remove_dir(&incoming);
    if add.json {
        say(serde_json::to_string_pretty(&manifest).map_err(|error| error.to_string())?)?;
    } else if let Some(image) = &manifest.image {
        say(format_args!("  image      {}/{image}", add.name))?;
    }
    Ok(0)
}

/// One file: fetched, checked, and only then served.
#[expect(clippy::too_many_arguments, reason = "the parts of one download, each used once")]
async fn one(
    source: &Source,
    name: &str,
    incoming: &Path,
    folder: &Path,
    keys: &Keys,
    digests: &Digests,
    add: &AssetsAdd,
    bars: &Bars,
) -> Result<Entry, String> {
    manifest::check_file(name)?;
    let place = incoming.join(name);
    let bar = bars.start(&add.name, name);
    source.fetch(name, &place, &|have, all| bar.at(have, all)).await?;
    let measured = sums::measure(&place)?;
    let proof = digests.proof(source, name, &place, incoming, keys, &measured).await;
    let (signed_by, words) = match proof {
        Ok(Proof::Signed(key)) => (Some(key.clone()), format!("signature good ({key})")),
        Ok(Proof::Listed) if add.allow_unsigned => {
            (None, "digest as listed; nobody signed the list".to_owned())
        }
        Ok(Proof::None) if add.allow_unsigned => (None, "nobody signed it".to_owned()),
        Ok(Proof::Listed | Proof::None) => {
            return Err(format!(
                "{name}: nobody signed it or a list with its digest; sign it (gpg --detach-sign {name}) and name the key with --key, or say --allow-unsigned"
            ));
        }
        Err(error) => {
            // What does not verify is not kept either: the next run begins anew.
            let _ = std::fs::remove_file(&place);
            return Err(error);
        }
    };
    bar.done(measured.octets, &words);
    let (name, place, measured) = match name.strip_suffix(".bz2") {
        Some(unpacked) => {
            let place = manifest::unpack(&place, &incoming.join(unpacked))?;
            let measured = sums::measure(&place)?;
            (unpacked.to_owned(), place, measured)
        }
        None => (name.to_owned(), place, measured),
    };
    manifest::serve(&place, &folder.join(&name), &measured.sha256)?;
    Ok(Entry { name, octets: measured.octets, sha256: measured.sha256, signed_by })
}

fn list(places: &Places, json: bool) -> Result<u8, String> {
    let all = Manifest::all(&places.assets)?;
    if json {
        say(serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?)?;
        return Ok(0);
    }
    if all.is_empty() {
        say(format_args!("nothing in {}; `kpc assets add` brings images", places.assets.display()))?;
        return Ok(0);
    }
    say("NAME             FILE                                        SIZE  SIGNED BY")?;
    for manifest in &all {
        for entry in &manifest.files {
            let image = if manifest.image.as_deref() == Some(&entry.name) { " (image)" } else { "" };
            let signed = entry.signed_by.as_deref().unwrap_or("nobody");
            say(format_args!(
                "{:<16} {:<38} {:>9}  {signed}{image}",
                manifest.name,
                entry.name,
                size(entry.octets)
            ))?;
        }
    }
    Ok(0)
}

fn check(places: &Places, verify: &AssetsVerify) -> Result<u8, String> {
    let all = Manifest::all(&places.assets)?;
    for name in &verify.names {
        if all.iter().all(|manifest| manifest.name != *name) {
            return Err(format!("no asset is named {name}; `kpc assets list` lists them"));
        }
    }
    let mut told = Vec::new();
    for manifest in all.iter().filter(|one| verify.names.is_empty() || verify.names.contains(&one.name)) {
        for entry in &manifest.files {
            let path = places.assets.join(&manifest.name).join(&entry.name);
            let verdict = match sums::measure(&path) {
                Ok(now) if now.sha256 == entry.sha256 => Ok(()),
                Ok(now) => Err(format!(
                    "is not what was checked: {} octets then, {} now; `kpc assets add {}` brings it anew",
                    entry.octets, now.octets, manifest.name
                )),
                Err(error) => Err(error),
            };
            told.push((format!("{}/{}", manifest.name, entry.name), verdict));
        }
    }
    if verify.json {
        let list: Vec<_> = told
            .iter()
            .map(|(file, verdict)| serde_json::json!({ "file": file, "ok": verdict.is_ok(), "detail": verdict.as_ref().err() }))
            .collect();
        say(serde_json::to_string(&list).map_err(|error| error.to_string())?)?;
    } else {
        for (file, verdict) in &told {
            say(format_args!("{file:<54}  {}", verdict.as_ref().err().map_or("good", |why| why)))?;
        }
    }
    Ok(u8::from(told.iter().any(|(_, verdict)| verdict.is_err())))
}

/// Octets for people.
fn size(octets: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people, to one digit")]
    let mebi = octets as f64 / f64::from(1 << 20);
    format!("{mebi:.1} MiB")
}

/// Progress on standard error where a person looks on; a line a file otherwise.
struct Bars {
    bars: Option<MultiProgress>,
    silent: bool,
}

struct Bar {
    bar: Option<ProgressBar>,
    words: String,
    silent: bool,
}

impl Bars {
    fn new(json: bool) -> Self {
        let person = std::io::IsTerminal::is_terminal(&std::io::stderr());
        Self { bars: (person && !json).then(MultiProgress::new), silent: json }
    }

    fn start(&self, asset: &str, file: &str) -> Bar {
        let words = format!("{asset}  {file}");
        let style =
            ProgressStyle::with_template("  {msg}  {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}");
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(0));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▌ "));
            bar.set_message(words.clone());
            bar
        });
        Bar { bar, words, silent: self.silent }
    }
}

impl Bar {
    fn at(&self, have: u64, all: Option<u64>) {
        if let Some(bar) = &self.bar {
            bar.set_length(all.unwrap_or(have));
            bar.set_position(have);
        }
    }

    fn done(&self, octets: u64, words: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if !self.silent {
            // A reader that went away has seen enough.
            let _ = say(format_args!("  {:<52} {:>9}  {words}", self.words, size(octets)));
        }
    }
}
