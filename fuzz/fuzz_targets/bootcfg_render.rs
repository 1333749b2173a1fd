//! A store with a fuzzed template, rendered at every endpoint.
#![no_main]

use bootcfg::render::ignition::Unsupported;
use bootcfg::{Additions, Catalog, Compat, Context, Endpoint, Labels, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let at = octets.iter().position(|&octet| octet == 0).unwrap_or(octets.len());
    let (query, template) = octets.split_at(at);
    let group: &[u8] = br#"{"profile":"p","metadata":{"a":1,"b":["x",{"c":null}]}}"#;
    let profile: &[u8] = br#"{"id":"p","generic_id":"t","cloud_id":"t","ignition_id":"t","boot":{"kernel":"k"}}"#;
    let files =
        [("groups/g.json", group), ("profiles/p.json", profile), ("generic/t", template), ("cloud/t", template), ("ignition/t", template)];
    let catalog = Catalog::from_files(Compat::Strict, files);
    let labels = Labels::from_query(query, Compat::Strict);
    let limits = Limits { output: 1 << 20, memory: 4 << 20, steps: 100_000, depth: 200 };
    for endpoint in Endpoint::ALL {
        let context = Context {
            catalog: &catalog,
            labels: &labels,
            raw_query: query,
            limits: &limits,
            transpile: &Unsupported,
            additions: &Additions::default(),
        };
        if let Ok(rendered) = bootcfg::render::respond(endpoint, context) {
            assert!(rendered.body.len() <= (1 << 20) + 4 * octets.len() + 1000);
        }
    }
});
