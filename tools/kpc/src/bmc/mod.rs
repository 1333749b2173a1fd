//! BMCs: the scan and the console, the logins that both and the server use, and the keeper, a process that has the
//! logins in the server's place.

mod console;
mod keeper;
pub(crate) mod logins;
mod scan;
pub(crate) mod session;
pub(crate) mod vault;
mod wire;

pub(crate) use console::console;
pub(crate) use keeper::keep;
pub(crate) use scan::scan;
