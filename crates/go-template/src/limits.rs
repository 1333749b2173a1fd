//! What one rendering may spend. Set by the caller, counted by the executor.

/// The bounds of one rendering; exceeding one is an error, never a hang or an abort.
///
/// Go has only the depth (100,000 calls). The other three keep a template that somebody else wrote from
/// filling the memory or holding a processor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of output. Default 16 MiB.
    pub output: usize,
    /// Bytes of all strings that functions make, in sum. Default 32 MiB.
    pub memory: usize,
    /// Steps: about one for each operand, call, piece of text and turn of a loop, more for long strings.
    /// Default 1,000,000, some tens of milliseconds.
    pub steps: u64,
    /// Templates within templates. Default 100,000, as in Go. (Values within values are
    /// bounded by 1,000 besides, when they are printed or come from an added function.)
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { output: 16 << 20, memory: 32 << 20, steps: 1_000_000, depth: 100_000 }
    }
}
