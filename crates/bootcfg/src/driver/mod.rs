//! What touches files, sockets and clocks. Feature `http`.

pub mod assets;
pub mod http;
pub mod store;
