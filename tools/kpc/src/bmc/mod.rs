//! BMCs from the verbs' side: the scan, the console, and the logins that both and the server use.

mod console;
pub(crate) mod logins;
mod scan;

pub(crate) use console::console;
pub(crate) use scan::scan;
