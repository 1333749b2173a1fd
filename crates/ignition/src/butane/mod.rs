//! Butane: YAML for people, of every variant and version, to Ignition.
//!
//! <https://coreos.github.io/butane/specs/>. The reference checks in three stages and hides the later ones behind the
//! first error; here one run says everything: what is wrong in the YAML, in its sugar, and in what it generates.

mod boot_device;
mod contents;
mod filter;
pub mod model;
mod mount_unit;
mod rules;
mod source;
mod translate;
mod tree;
mod variant;

pub use model::Config;
pub use variant::{TARGETS, Target, Variant};

use self::contents::Encoder;
use self::model::{Fcos, OpenShiftConfig, Plain};
use self::translate::Cx as Translation;
use crate::decode::{Cx, Decode, Format};
use crate::encode::{Encode as _, Style, Writer};
use crate::files::{Files, NoFiles};
use crate::merge::merge_v3;
use crate::origins::{self, Origins};
use crate::report::{At, Report};
use crate::tree::{Kind, Tree};
use crate::v3;
use crate::version::SpecVersion;
use crate::yaml;

/// How to transpile.
#[derive(Clone, Copy)]
pub struct Options<'o> {
    /// Local files the config may refer to.
    pub files: &'o dyn Files,
    /// openshift: the Ignition config alone, without its MachineConfig.
    pub raw: bool,
    /// Contents are never compressed.
    pub no_compression: bool,
    /// Says what looks like a mistake as well: see [`crate::lint`].
    pub lint: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { files: &NoFiles, raw: false, no_compression: false, lint: false }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("raw", &self.raw)
            .field("no_compression", &self.no_compression)
            .finish()
    }
}

/// What a Butane config makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpiled {
    /// Variant and version.
    pub target: Target,
    /// The Ignition config.
    pub config: v3::Config,
    /// openshift: what goes around it.
    machine_config: Option<MachineConfig>,
}

#[derive(Clone, Debug, PartialEq)]
struct MachineConfig {
    metadata: model::Metadata,
    openshift: model::OpenShift,
}

impl Transpiled {
    /// The Ignition config and its version.
    pub fn into_config(self) -> crate::Config {
        let version = SpecVersion::v3(self.target.level).unwrap_or(SpecVersion::V1);
        crate::Config { version, body: crate::Body::V3(self.config) }
    }

    /// The document: Ignition, or for openshift a MachineConfig, as JSON.
    pub fn to_json(&self, style: Style) -> String {
        self.write(Writer::new(style, self.target.level))
    }

    fn write(&self, mut out: Writer) -> String {
        match &self.machine_config {
            None => self.config.encode(&mut out),
            Some(machine) => out.object(|out| {
                out.member("apiVersion", &"machineconfiguration.openshift.io/v1".to_owned(), true, 0);
                out.member("kind", &"MachineConfig".to_owned(), true, 0);
                out.key("metadata");
                out.object(|out| {
                    out.member("name", &machine.metadata.name, true, 0);
                    if !machine.metadata.labels.0.is_empty() {
                        out.key("labels");
                        out.object(|out| {
                            for (name, value) in &machine.metadata.labels.0 {
                                out.member(name, value, true, 0);
                            }
                        });
                    }
                });
                out.key("spec");
                out.object(|out| {
                    out.member("config", &self.config, true, 0);
                    out.member("kernelArguments", &machine.openshift.kernel_arguments, false, 0);
                    out.member("extensions", &machine.openshift.extensions, false, 0);
                    out.member("fips", &machine.openshift.fips, false, 0);
                    out.member("kernelType", &machine.openshift.kernel_type, false, 0);
                });
            }),
        }
        out.text
    }
}

/// Butane to JSON.
///
/// ```
/// let yaml = b"variant: fcos\nversion: 1.5.0\nstorage: {files: [{path: /etc/motd, contents: {inline: hi}}]}\n";
/// let (json, report) = ignition::butane::transpile(yaml, &Default::default()).unwrap();
/// assert!(report.is_empty());
/// assert!(json.starts_with(br#"{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/etc/motd""#));
/// ```
///
/// # Errors
/// All findings, if at least one is an error.
pub fn transpile(source: &[u8], options: &Options<'_>) -> Result<(Vec<u8>, Report), Report> {
    match check(source, options) {
        (Some(made), report) if !report.is_fatal() => {
            let out = Writer::new(Style::TIDY, made.target.level).expect(source.len() + source.len() / 2);
            Ok((made.write(out).into_bytes(), report))
        }
        (_, report) => Err(report),
    }
}

/// Reads and generates, and says everything that is to be said, at places in the YAML.
pub fn check(source: &[u8], options: &Options<'_>) -> (Option<Transpiled>, Report) {
    let mut report = Report::default();
    let tree = match yaml::parse(source) {
        Ok(tree) => tree,
        Err(why) => return (None, crate::parse::yaml_syntax(source, &why)),
    };
    let made = target(&tree, &mut report).map(|target| generate(&tree, target, options, &mut report));
    report.locate(&tree);
    (made, report)
}

/// Which variant and version the document is for.
fn target(tree: &Tree<'_>, report: &mut Report) -> Option<Target> {
    let root = tree.root();
    if let Some(other) = root.filter(|root| !matches!(root.kind(), Kind::Object | Kind::Plain)) {
        Cx::new(report, Format::Yaml3, 0).mismatch(other, "an object", &At::ROOT);
        return None;
    }
    let mut text = |name: &'static str| {
        let mut text = String::new();
        if let Some(node) = root.and_then(|root| root.get(name)) {
            text.decode(&mut Cx::new(report, Format::Yaml3, 0), node, &At::ROOT.key(name));
        }
        text
    };
    let (variant, version) = (text("variant"), text("version"));
    let (code, message) = if report.is_fatal() {
        return None;
    } else if variant.is_empty() {
        rules::NO_VARIANT
    } else if !crate::parse::is_semver(&version) {
        report.error(rules::INVALID_VERSION.0, rules::INVALID_VERSION.1, &At::ROOT.key("version"));
        return None;
    } else if variant == "rhcos" && version == "0.1.0" {
        rules::RHCOS_VARIANT_UNSUPPORTED
    } else if let Some(target) = Target::find(&variant, &version) {
        return Some(target);
    } else {
        let message = format!("No translator exists for variant {variant} with version {version}");
        report.error("unknown-variant-version", message, &At::ROOT.key("version"));
        return None;
    };
    report.error(code, message, &At::ROOT.key("variant"));
    None
}

fn decode<T: Decode + Into<Config>>(tree: &Tree<'_>, level: u8, report: &mut Report) -> Config {
    let mut config = T::default();
    if let Some(root) = tree.root() {
        let mut cx = Cx::new(report, Format::Yaml3, level).reading(tree, 3);
        config.decode(&mut cx, root, &At::ROOT);
    }
    config.into()
}

fn generate(tree: &Tree<'_>, target: Target, options: &Options<'_>, report: &mut Report) -> Transpiled {
    let config = match target.variant {
        Variant::OpenShift => decode::<OpenShiftConfig>(tree, target.level, report),
        Variant::Fcos if target.has_boot_device() => decode::<Fcos>(tree, target.level, report),
        _ => decode::<Plain>(tree, target.level, report),
    };
    let mut later = Report::default();
    source::check(&config, target, &mut later);
    let openshift = target.variant == Variant::OpenShift;
    // The machine-config operator of 4.8 and 4.9 does not unpack.
    let compress = !(options.no_compression || openshift && target.minor < 10);
    let mut cx = Translation {
        target,
        files: options.files,
        encoder: Encoder::new(compress),
        report: &mut later,
        origins: Origins::default(),
    };
    let mut made = translate::translate(&config, &mut cx);
    if let Some(units) = mount_unit::units(&config, target) {
        made = put_below(units, made, &mut cx.origins);
    }
    tree::trees(&config, &mut made, &mut cx);
    tree::quadlets(&config, &mut made, &mut cx);
    // Findings at places in the generated config; they are mapped to the YAML below.
    let mut generated = Report::default();
    if target.has_boot_device()
        && let Some(sugar) = boot_device::generate(&config)
    {
        made = put_below(sugar, made, &mut cx.origins);
    }
    if let Some(minor) = target.fcos_minor() {
        boot_device::partitions(&made, minor >= 3, &mut generated);
        let appended = !(openshift && target.minor >= 23);
        if let Some(sugar) = boot_device::grub(&config.grub, &mut cx.encoder, appended) {
            made = put_below(sugar, made, &mut cx.origins);
        }
    }
    let origins = std::mem::take(&mut cx.origins);
    if openshift && target.minor <= 19 && config.openshift.fips == Some(true) {
        fips(&mut made);
    }
    if openshift && options.raw {
        elided(&config.openshift, &mut later);
    }
    filter::check(&made, target, &mut generated);
    v3::validate::validate(&made, target.level, &mut generated);
    if let Some(version) = SpecVersion::v3(target.level).filter(|_| options.lint) {
        let config = crate::Config { version, body: crate::Body::V3(made.clone()) };
        crate::lint::lint(&config, &mut generated);
    }
    for entry in std::mem::take(generated.entries_mut()) {
        let path = origins::sugared(origins.yaml(&entry.path), tree.root());
        later.push(crate::report::Entry { path, ..entry });
    }
    report.append_unread(later);
    let machine_config = (openshift && !options.raw)
        .then_some(MachineConfig { metadata: config.metadata, openshift: config.openshift });
    Transpiled { target, config: made, machine_config }
}

/// Merges what was written over what was generated.
fn put_below(
    (sugar, of_sugar): (v3::Config, Origins),
    written: v3::Config,
    origins: &mut Origins,
) -> v3::Config {
    let (merged, transcript) = merge_v3(sugar, written);
    *origins = Origins::merged(&of_sugar, origins, &transcript);
    merged
}

/// FIPS mode does not allow the default cipher of encrypted volumes.
fn fips(config: &mut v3::Config) {
    for luks in &mut config.storage.luks {
        let chosen =
            |option: &String| option == "--cipher" || option == "-c" || option.starts_with("--cipher=");
        if !luks.options.iter().any(chosen) {
            luks.options.extend(["--cipher".to_owned(), "aes-cbc-essiv:sha256".to_owned()]);
        }
    }
}

/// Says what has no place outside a MachineConfig.
fn elided(openshift: &model::OpenShift, report: &mut Report) {
    let at = At::ROOT.key("openshift");
    for (name, given) in [
        ("kernel_arguments", !openshift.kernel_arguments.is_empty()),
        ("extensions", !openshift.extensions.is_empty()),
        ("fips", openshift.fips.is_some()),
        ("kernel_type", openshift.kernel_type.is_some()),
    ] {
        if given {
            report.warn(rules::FIELD_ELIDED.0, rules::FIELD_ELIDED.1, &at.key(name));
        }
    }
}

/// The fields of a target's configs, for schemas.
pub fn shape(target: Target) -> crate::decode::Shape {
    match target.variant {
        Variant::OpenShift => OpenShiftConfig::SHAPE,
        Variant::Fcos if target.has_boot_device() => Fcos::SHAPE,
        _ => Plain::SHAPE,
    }
}

/// Whether a document looks like Butane: it names a variant.
pub fn is_butane(source: &[u8]) -> bool {
    yaml::parse(source).ok().is_some_and(|tree| tree.root().is_some_and(|root| root.get("variant").is_some()))
}
