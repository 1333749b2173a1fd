//! `/pixiecore/v1/boot/MAC` of bootcfg v0.4.0: the `boot` section as JSON.

use super::Rendered;
use crate::gojson;
use crate::profile::Profile;

pub(super) fn render(profile: &Profile) -> Rendered {
    let mut out = Vec::new();
    match &profile.boot {
        None => out.extend_from_slice(b"null"),
        Some(boot) => {
            let mut boot_map = gojson::Object::new(&mut out);
            if !boot.kernel.is_empty() {
                boot_map.field("kernel", |out| gojson::string(out, &boot.kernel));
            }
            if !boot.initrd.is_empty() {
                boot_map.field("initrd", |out| gojson::strings(out, &boot.initrd));
            }
            if !boot.cmdline.is_empty() {
                boot_map.field("cmdline", |out| {
                    let mut map = gojson::Object::new(out);
                    for (key, value) in &boot.cmdline {
                        map.field(key, |out| gojson::string(out, value));
                    }
                    map.end();
                });
            }
            boot_map.end();
        }
    }
    Rendered { content_type: Some("application/json"), ..Rendered::sniffed(out) }
}
