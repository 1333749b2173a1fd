//! `/grub`: the configuration GRUB loads over the network.

use std::fmt::Write as _;

use super::{Context, Rendered};
use crate::compat::Compat;
use crate::profile::NetBoot;

pub(super) fn render(boot: &NetBoot, context: Context<'_>) -> Rendered {
    let arguments = boot.arguments(context.compat()).chain(context.additions.arguments.iter().cloned());
    let old = context.compat() == Compat::Bootcfg040;
    let arguments = arguments.fold(String::new(), |mut out, argument| {
        // v0.4.0 quotes each argument, matchbox leaves that to the profile.
        _ = if old { write!(out, " \"{argument}\"") } else { write!(out, " {argument}") };
        out
    });
    let kernel = &boot.kernel;
    let quoted = |before: &str, after: &str| -> String {
        boot.initrd.iter().map(|initrd| format!("{before}\"{initrd}\"{after}")).collect()
    };
    let out = if old {
        let initrd = quoted("", " ");
        format!(
            "default=0\ntimeout=1\nmenuentry \"CoreOS\" {{\necho \"Loading kernel\"\nlinuxefi \"{kernel}\"{arguments}\n\
             echo \"Loading initrd\"\ninitrdefi {initrd}\n}}\n"
        )
    } else {
        let initrd = quoted(" ", "");
        format!(
            "default=0\nfallback=1\ntimeout=1\n\
             menuentry \"CoreOS (EFI)\" {{\necho \"Loading kernel\"\nlinuxefi \"{kernel}\"{arguments}\n\
             echo \"Loading initrd\"\ninitrdefi {initrd}\n}}\n\
             menuentry \"CoreOS (BIOS)\" {{\necho \"Loading kernel\"\nlinux \"{kernel}\"{arguments}\n\
             echo \"Loading initrd\"\ninitrd {initrd}\n}}\n"
        )
    };
    Rendered::sniffed(out)
}
