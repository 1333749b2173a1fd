//! Both readers give the same tree for whatever the first one takes.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Library, block, events};
use crate::tree::Tree;

/// Every node of a tree: kind, tag, text, place, end.
fn nodes(tree: &Tree<'_>) -> Vec<String> {
    let show = |node: crate::tree::Cursor<'_>| {
        let inner = node.node();
        format!("{:?} {:?} {:?} {:?} {}", inner.kind, inner.tag, inner.span, node.text(), node.after())
    };
    tree.all().map(show).collect()
}

/// Both readers, if the first one takes the text at all.
fn both(text: &str) -> Option<(Vec<String>, Vec<String>)> {
    let mut tree = Tree::new(text.into());
    block::read(text, &mut tree, Library::V3)?;
    let full = events::read(text, Tree::new(text.into()), Library::V3);
    Some((nodes(&tree), full.map_or_else(|why| vec![format!("{why:?}")], |full| nodes(&full))))
}

#[test]
fn both_readers_see_the_same() {
    let mut taken = 0;
    for text in [
        "---\nsystemd:\n  units:\n  - name: a.service\n    contents: |\n      [Unit]\n\n      A=b \n  -  name: b\n     enable: yes # on\nlast:\n",
        "a: 'it''s'\nb: \"t\\tx\" # c\nc: [1, 'two', {a: b}, x y ]\nd: {id: 0}\ne: |-\n\n  x\n\n\n# end\nf: |+\n  y\n\n",
        "- - a\n  - b: c\n    d:\n    - e\n-\n- \n  f: g\n-",
        "a: |\n  no end",
        "a: |\n  x\n  ",
        "a: é ü # ö\nü: 'é'\n",
        "a:\n\n  # c\n  b: http://x:80/y#z\n--- \nc: d\n",
    ] {
        let (ours, full) = both(text).unwrap_or_else(|| panic!("not taken: {text}"));
        assert_eq!(ours, full, "{text}");
        taken += 1;
    }
    assert_eq!(taken, 7);
}

/// The YAML inputs of the recorded cases.
fn seeds() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|case| std::fs::read_to_string(case.unwrap().path().join("in.yaml")).ok())
        .filter(|text| text.len() < 4096)
        .collect();
    found.sort();
    found
}

/// Lines as configs have them, and others that put the structure to the test.
fn lines() -> impl Strategy<Value = String> {
    let words = [
        "a:",
        "b: c",
        "- d",
        "-",
        "- e: f",
        "- - g",
        "h: |",
        "i: |-",
        "- j: |+",
        "k: [1, {l: 'm'}]",
        "n: \"o\\t\" # p",
        "# q",
        "",
        "  ",
        "r",
        "s: 't''u'",
        "- [v]",
        "w: x: y",
        "z: -1",
        "- |",
        "---",
        "a : b",
        "a: b #c",
        "\tb",
        "c:  ",
        "d: 'e' f",
        "f: {g: h, i: [j , k]}",
        "é: ü",
        "- \"l\": m",
        "<<: *n",
        "o: &p q",
        "? r",
        "s: >",
        "t: {u: v,}",
        "{",
        "[",
        "}",
        "]",
        "\"k\":1,",
        "\"m\" : \"\\u00e9\",",
        "x,",
        "n: {",
        "o: [",
        ",",
        "- {",
        "- [",
        "w: [x:y, /z]",
    ];
    let line =
        (0..5_usize, select(words.to_vec())).prop_map(|(indent, word)| format!("{:1$}{word}", "", indent));
    (proptest::collection::vec(line, 1..9), any::<bool>())
        .prop_map(|(lines, ended)| lines.join("\n") + if ended { "\n" } else { "" })
}

fn same(text: &str) -> Result<(), TestCaseError> {
    if let Some((ours, full)) = both(text) {
        // Where a line of a flow collection begins is all that Go's libraries are more patient about.
        if matches!(full.as_slice(), [why] if why.contains("YamlError") && why.contains("indentation")) {
            return Ok(());
        }
        prop_assert_eq!(ours, full, "{:?}", text);
    }
    Ok(())
}

#[test]
fn most_documents_are_taken() {
    let seeds = seeds();
    let taken = seeds.iter().filter(|text| both(text).is_some()).count();
    assert!(taken * 10 > seeds.len() * 6, "{taken} of {}", seeds.len());
    seeds.iter().for_each(|text| same(text).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn made_of_lines(text in lines()) {
        same(&text)?;
    }

    #[test]
    fn changed_documents(text in select(seeds()), edits in proptest::collection::vec((any::<Index>(), any::<Index>(), 0..3_u8), 0..5)) {
        let mut text: Vec<char> = text.chars().collect();
        for (at, what, how) in edits.iter().filter(|_| !text.is_empty()).cloned().collect::<Vec<_>>() {
            let at = at.index(text.len().max(1));
            let new = *what.get(&[':', ' ', '\n', '-', '#', '\'', '"', '|', '[', ']', '{', '}', ',', 'x', '\t', '\\', '.', '~']);
            match how {
                0 if at < text.len() => text[at] = new,
                1 if at < text.len() => drop(text.remove(at)),
                _ => text.insert(at, new),
            }
        }
        same(&text.into_iter().collect::<String>())?;
    }
}
