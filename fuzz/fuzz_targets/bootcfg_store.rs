//! Groups, profiles, queries, paths and ranges of any octets.
#![no_main]

use bootcfg::content::{Conditions, Content, plan};
use bootcfg::{Catalog, Compat, Group, Labels, Profile, Route};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let (first, rest) = octets.split_at(octets.len().min(1));
    let compat = match first.first().map(|octet| octet % 3) {
        Some(0) => Compat::Matchbox,
        Some(1) => Compat::Bootcfg040,
        _ => Compat::Strict,
    };
    let _ = Group::parse("groups/g.json", rest, compat);
    let _ = Profile::parse("profiles/p.json", rest, compat);
    let labels = Labels::from_query(rest, compat);
    let _ = Labels::check_query(rest, compat);
    let text = String::from_utf8_lossy(rest);
    let _ = Route::parse(&text, Some(&text), compat);
    let _ = bootcfg::sniff::content_type(rest);
    let content = Content { size: 1000, modified: Some(1), content_type: "" };
    let _ = plan(content, Conditions { range: Some(&text), if_none_match: Some(&text), is_get: true, ..Conditions::default() });
    let catalog = Catalog::from_files(compat, [("groups/g.json", rest), ("profiles/p.json", rest)]);
    let _ = catalog.select(&labels);
});
