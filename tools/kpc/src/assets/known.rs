//! The operating systems that are known by name: where their files are and whose signature counts.

use super::fetch::Source;
use super::signature::Pin;
use crate::args::AssetsAdd;

/// What one `assets add` will do.
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) channel: Option<String>,
    /// The files; none: all of the folder.
    pub(super) files: Vec<String>,
    /// Which of them machines' disks are written with.
    pub(super) image: Option<String>,
    pub(super) pin: Option<&'static Pin>,
}

/// Flatcar's image signing key (flatcar.org, "Verify Flatcar Container Linux images"): the primary key is pinned, its
/// subkeys change every two years.
const FLATCAR: Pin = Pin {
    fingerprint: "f88cfedeff29a5b4d9523864e25d9aed0593b34a",
    url: "https://www.flatcar.org/security/image-signing-key/Flatcar_Image_Signing_Key.asc",
    file: "Flatcar_Image_Signing_Key.asc",
};

const DEBIAN: [(&str, u8); 2] = [("bookworm", 12), ("trixie", 13)];

/// Turns what was typed into a plan.
pub(super) fn plan(add: &AssetsAdd) -> Result<Plan, String> {
    let channel = |default: &str| add.channel.clone().unwrap_or_else(|| default.to_owned());
    let (base, files, image, pin, channel) = match add.name.as_str() {
        "flatcar" => {
            let channel = channel("stable");
            if !["stable", "beta", "alpha", "lts"].contains(&channel.as_str()) {
                return Err(format!("flatcar has the channels stable, beta, alpha and lts, not {channel}"));
            }
            let base = format!("https://{channel}.release.flatcar-linux.net/amd64-usr/current/");
            let image = "flatcar_production_image.bin";
            let files = ["flatcar_production_pxe.vmlinuz", "flatcar_production_pxe_image.cpio.gz"];
            let mut files: Vec<String> = files.iter().map(|name| (*name).to_owned()).collect();
            files.push(format!("{image}.bz2"));
            (Some(base), files, Some(image.to_owned()), Some(&FLATCAR), Some(channel))
        }
        "debian" => {
            let channel = channel("trixie");
            let known = DEBIAN.iter().find(|(name, _)| *name == channel);
            if known.is_none() && add.from.is_none() && add.url.is_none() {
                return Err(format!("debian has bookworm and trixie here, not {channel}"));
            }
            let number = known.map_or(13, |(_, number)| *number);
            let base = format!("https://cloud.debian.org/images/cloud/{channel}/latest/");
            let image = format!("debian-{number}-generic-amd64.raw");
            (Some(base), vec![image.clone()], Some(image), None, Some(channel))
        }
        _ => (None, Vec::new(), None, None, add.channel.clone()),
    };
    let source = match (&add.from, &add.url, base) {
        (Some(folder), _, _) => Source::Folder(folder.clone()),
        (None, Some(url), _) => Source::at(url)?,
        (None, None, Some(base)) => Source::at(&base)?,
        (None, None, None) => {
            return Err(format!(
                "{} is not known by name (debian and flatcar are): say where it is, with --url URL --file NAME or --from DIR",
                add.name
            ));
        }
    };
    // Somebody's own folder or mirror has its own files.
    let own = !add.files.is_empty() || add.from.is_some();
    let files = if own { add.files.clone() } else { files };
    if files.is_empty() && !matches!(source, Source::Folder(_)) {
        return Err("which files? --file NAME, for each".to_owned());
    }
    Ok(Plan { source, channel, files, image: if own { None } else { image }, pin })
}
