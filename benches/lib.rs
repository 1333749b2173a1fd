//! Benches beside the real peers, and what they share.

pub mod processors;

use std::path::PathBuf;

/// A program as its package has it: in `KPC_BIN_DIR`, else beside the bench.
///
/// # Errors
/// The bench's own place is not known.
pub fn shipped(name: &str) -> std::io::Result<PathBuf> {
    let folder = std::env::var_os("KPC_BIN_DIR").map(PathBuf::from);
    folder.map_or_else(|| Ok(std::env::current_exe()?.with_file_name(name)), |folder| Ok(folder.join(name)))
}
