//! Client of bootcfgd's gRPC interface.

mod args;
mod calls;
mod table;

use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use args::{Args, LogFormat};
use bootcfg::driver::grpc::{Channel, ClientTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = args::parse();
    let lines = tracing_subscriber::fmt()
        .with_max_level(args.log_level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time();
    match args.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = match error.downcast_ref::<tonic::Status>() {
                Some(status) => format!("{}: {}", status.code(), status.message()),
                None => error.to_string(),
            };
            tracing::error!("{text}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let tls = ClientTls { ca: args.ca_file, certificate: args.cert_file, key: args.key_file };
    let mut last = None;
    for endpoint in &args.endpoints {
        match Channel::connect(endpoint, Some(&tls)).await {
            Ok(channel) => return calls::run(channel, args.verb, args.output).await,
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| "no endpoint: say --endpoints HOST:PORT".into(), Into::into))
}
