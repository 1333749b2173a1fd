//! `/ipxe`: the script that loads kernel and initial RAM disks; and the two scripts that come before it.

use super::{Context, Rendered};
use crate::compat::Compat;
use crate::profile::NetBoot;

/// What `/boot.ipxe` says: come back with who you are.
pub fn chain_script(compat: Compat) -> &'static str {
    match compat {
        Compat::Bootcfg040 => {
            "#!ipxe\nchain ipxe?uuid=${uuid}&mac=${net0/mac:hexhyp}&domain=${domain}&hostname=${hostname}&serial=${serial}\n"
        }
        Compat::Matchbox | Compat::Strict => {
            "#!ipxe\nchain ipxe?uuid=${uuid}&mac=${mac:hexhyp}&domain=${domain}&hostname=${hostname}&serial=${serial}&arch=${buildarch:uristring}\n"
        }
    }
}

pub(super) fn render(boot: &NetBoot, context: Context<'_>) -> Rendered {
    let mut out = format!("#!ipxe\nkernel {}", boot.kernel);
    for argument in boot.arguments(context.compat()).chain(context.additions.arguments.iter().cloned()) {
        out.push(' ');
        out.push_str(&argument);
    }
    out.push('\n');
    if context.compat() == Compat::Bootcfg040 {
        out.push_str("initrd ");
        for initrd in &boot.initrd {
            out.push_str(initrd);
            out.push(' ');
        }
        out.push('\n');
    } else {
        for initrd in &boot.initrd {
            out.push_str("initrd ");
            out.push_str(initrd);
            out.push('\n');
        }
    }
    out.push_str("boot\n");
    Rendered::sniffed(out)
}
