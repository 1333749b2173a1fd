//! Matchbox-compatible boot configuration: groups, profiles, selectors, rendered answers.
