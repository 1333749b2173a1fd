//! What touches files, sockets and clocks. Feature `http`.

pub mod assets;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod http;
pub mod store;
#[cfg(feature = "tls")]
pub mod tls;
