//! matchbox's gRPC interface over a [`Store`](crate::driver::store::Store): groups, profiles and templates are written
//! whole, ids stay in their folder, and no answer names a path of the server. Feature `grpc`.

mod channel;
mod convert;
mod reads;
mod server;
mod writes;

pub use channel::{Channel, ClientTls, ConnectError};
pub use server::{GrpcConfig, serve_grpc};

/// The messages, clients and servers of package `rpcpb`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::indexing_slicing, clippy::unwrap_used)]
pub mod rpcpb {
    tonic::include_proto!("rpcpb");
}

/// The messages, clients and servers of package `bootcfg.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::indexing_slicing, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("bootcfg.v1");
}
