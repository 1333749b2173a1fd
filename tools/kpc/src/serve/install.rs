//! What an installing agent is told when it shows its claim: which image, whose digest, which disk, which user data.

use std::path::PathBuf;
use std::sync::Arc;

use bootcfg::driver::store::{FileStore, Store as _};
use fleet::{ClaimSecret, Claimed, GrantRefused, Role};
use serde_json::{Value, json};

use crate::config::{BootOrder, Config, Install, is_digest};
use crate::serve::state::State;

/// The install sections and what they name.
pub(crate) struct Installs {
    sections: std::collections::BTreeMap<String, Install>,
    assets: PathBuf,
    /// `http://ADDRESS:PORT`, as machines reach us.
    url: String,
    store: Arc<FileStore>,
}

/// Why a claim is told nothing.
#[derive(Debug)]
pub(crate) enum Untold {
    /// The claim does not stand.
    Claim(GrantRefused),
    /// The image is not ready.
    Image(String),
}

impl Installs {
    /// What the configuration says.
    pub(crate) fn new(config: &Config, store: Arc<FileStore>) -> Self {
        Self { sections: config.install.clone(), assets: config.assets(), url: config.machines_url(), store }
    }

    /// Whether an order of this profile could be carried out: its image is there, and its digest is known. A profile
    /// without a section is an installer of the operator's own.
    pub(crate) fn check(&self, profile: &str) -> Result<(), String> {
        self.sections
            .get(profile)
            .map_or(Ok(()), |install| self.image(profile, &self.named(install)).map(drop))
    }

    /// Answers `POST /v1/claim`. Reads two small facts of a file, so it belongs on a thread that may block.
    pub(crate) fn tell(&self, state: &State, secret: ClaimSecret) -> Result<Value, Untold> {
        let claimed = state.read(|fleet, now| fleet.claimed(now, secret)).map_err(Untold::Claim)?;
        let install = match self.sections.get(&claimed.profile).filter(|_| claimed.role == Role::Install) {
            Some(install) => self.instructions(install, &claimed, &state.remember(secret)),
            None => Ok(Value::Null),
        };
        let install = install.map_err(Untold::Image)?;
        Ok(json!({
            "name": claimed.name,
            "order": claimed.order,
            "machine": claimed.machine,
            "role": claimed.role,
            "profile": claimed.profile,
            "disk": claimed.disk,
            "wipe": claimed.wipe,
            "install": install,
        }))
    }

    fn instructions(&self, install: &Install, claimed: &Claimed, nonce: &str) -> Result<Value, String> {
        let install = &self.named(install);
        let image = self.image(&claimed.profile, install)?;
        let boot_order = match install.boot_order {
            BootOrder::Disk => "disk",
            BootOrder::Keep => "keep",
        };
        Ok(json!({
            "image": image.url,
            "format": install.format(),
            "sha256": image.sha256,
            "octets": image.octets,
            "disk": {
                "serial": claimed.disk,
                "rule": install.disk.word(),
                "min_octets": install.min_octets(),
            },
            "wipe": claimed.wipe,
            "boot_order": boot_order,
            "user_data": self.user_data(claimed, nonce),
        }))
    }

    /// Ignition where the profile names a template of it, else NoCloud, else nothing.
    fn user_data(&self, claimed: &Claimed, nonce: &str) -> Value {
        let catalog = self.store.snapshot();
        let Some(profile) = catalog.profile(&claimed.profile) else { return json!({ "kind": "none" }) };
        if !profile.ignition_id.is_empty() {
            return json!({ "kind": "ignition", "url": format!("{}/ignition?nonce={nonce}", self.url) });
        }
        if !profile.cloud_id.is_empty() {
            // Another order is another instance: cloud-init runs again.
            let meta_data = format!("instance-id: kpc-{}\nlocal-hostname: {}\n", claimed.order, claimed.name);
            let url = format!("{}/cloud?nonce={nonce}", self.url);
            return json!({ "kind": "nocloud", "url": url, "meta_data": meta_data });
        }
        json!({ "kind": "none" })
    }

    /// The section with its image's file: where it names a folder of `kpc assets add`, the one that the folder says.
    fn named(&self, install: &Install) -> Install {
        let mut named = install.clone();
        let told = self.assets.join(&install.image).join(crate::assets::IMAGE);
        if !install.is_remote()
            && let Ok(file) = std::fs::read_to_string(told)
        {
            named.image = format!("{}/{}", install.image, file.trim());
        }
        named
    }

    fn image(&self, profile: &str, install: &Install) -> Result<Image, String> {
        if install.is_remote() {
            let sha256 = install.sha256.clone().unwrap_or_default();
            return Ok(Image { url: install.image.clone(), sha256, octets: None });
        }
        let path = self.assets.join(&install.image);
        let file = std::fs::metadata(&path).map_err(|error| {
            format!(
                "the image of [install.{profile}], {}: {error}; `kpc assets add` puts images there",
                path.display()
            )
        })?;
        let sha256 = match &install.sha256 {
            Some(digest) => digest.to_ascii_lowercase(),
            None => self.recorded(profile, install)?,
        };
        let url = format!("{}/assets/{}", self.url, install.image);
        Ok(Image { url, sha256, octets: Some(file.len()) })
    }

    /// The digest beside the image, as `sha256sum` prints it.
    fn recorded(&self, profile: &str, install: &Install) -> Result<String, String> {
        let beside = self.assets.join(format!("{}.sha256", install.image));
        let remedy = "name it as `sha256`, or write it there as `sha256sum` prints it";
        let text = std::fs::read_to_string(&beside).map_err(|error| {
            format!("the digest of [install.{profile}]'s image, {}: {error}; {remedy}", beside.display())
        })?;
        let digest = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if is_digest(&digest) {
            Ok(digest)
        } else {
            Err(format!("{} does not begin with a SHA-256; {remedy}", beside.display()))
        }
    }
}

struct Image {
    url: String,
    sha256: String,
    octets: Option<u64>,
}
