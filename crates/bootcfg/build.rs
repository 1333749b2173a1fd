//! Compiles proto/*.proto for feature `grpc`, without protoc.
#![allow(clippy::print_stdout)]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    #[cfg(feature = "grpc")]
    {
        let files = protox::compile(["proto/rpc.proto", "proto/bootcfg.proto"], ["proto"])?;
        tonic_prost_build::configure().build_transport(false).compile_fds(files)?;
    }
    Ok(())
}
