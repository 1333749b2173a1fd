//! Ignition configs of every version: parse, validate, merge, convert, transpile.
