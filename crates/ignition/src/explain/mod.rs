//! What each code of a finding means and what to do about it. Called by tools; calls nothing.

mod table;

/// The meaning of a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The code, as in [`crate::Entry::code`].
    pub code: &'static str,
    /// What was found and why it matters.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The explanation of `code`, if this crate has such a code.
pub fn explain(code: &str) -> Option<Explanation> {
    explanations().find(|explanation| explanation.code == code)
}

/// The explanations of all codes, in no particular order.
pub fn explanations() -> impl Iterator<Item = Explanation> {
    table::ALL.iter().map(|&(code, meaning, remedy)| Explanation { code, meaning, remedy })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_explained_once() {
        let mut seen = HashSet::new();
        for explanation in explanations() {
            assert!(seen.insert(explanation.code), "{} twice", explanation.code);
            assert!(
                !explanation.meaning.is_empty() && !explanation.remedy.is_empty(),
                "{}",
                explanation.code
            );
        }
        assert!(explain("path-not-absolute").is_some());
        assert!(explain("no-such-code").is_none());
    }
}
