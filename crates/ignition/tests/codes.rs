//! Every code that the recorded cases provoke is explained.
#![cfg(feature = "butane")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::path::Path;

use ignition::{butane, clc, explain::explain, fuze, lint};

#[test]
fn every_code_of_the_cases_is_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut folders = vec![folder.join("stages")];
    folders.extend(std::fs::read_dir(folder.join("cases")).unwrap().map(|case| case.unwrap().path()));
    let mut codes = BTreeSet::new();
    for path in
        folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path())
    {
        if !path.is_file() {
            continue;
        }
        let source = std::fs::read(&path).unwrap();
        let reports = [
            lint::check(&source).1,
            butane::check(&source, &butane::Options { lint: true, ..Default::default() }).1,
            clc::check(&source, &clc::Options { lint: true, ..Default::default() }).1,
            fuze::parse(&source).err().unwrap_or_default(),
        ];
        codes.extend(reports.iter().flat_map(|report| report.entries()).map(|entry| entry.code));
    }
    assert!(codes.len() > 120, "{}", codes.len());
    let unexplained: Vec<_> = codes.into_iter().filter(|code| explain(code).is_none()).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
}
