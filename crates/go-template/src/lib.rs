//! Go's text/template over bytes, with limits.
