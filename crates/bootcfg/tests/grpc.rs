//! The calls recorded from matchbox and bootcfg v0.4.0, replayed over mutual TLS; and what must not happen.
#![cfg(feature = "grpc")]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bootcfg::Compat;
use bootcfg::driver::grpc::{Channel, ClientTls, ConnectError, GrpcConfig, rpcpb, serve_grpc, v1};
use bootcfg::driver::http::ServeConfig;
use bootcfg::driver::store::{FOLDERS, FileStore};
use bootcfg::driver::tls::{Tls, TlsConfig};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

/// A CA, a server's and a client's certificate, and a stranger's, as files.
struct Pki {
    dir: TempDir,
}

impl Pki {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
        for (ca, leaves) in [("ca", &["server", "client"][..]), ("other-ca", &["stranger"])] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            write(&format!("{ca}.crt"), params.self_signed(&key).unwrap().pem());
            let issuer = Issuer::new(params, key);
            for leaf in leaves {
                let key = KeyPair::generate().unwrap();
                let params = CertificateParams::new(vec!["localhost".to_string()]).unwrap();
                write(&format!("{leaf}.crt"), params.signed_by(&key, &issuer).unwrap().pem());
                write(&format!("{leaf}.key"), key.serialize_pem());
            }
        }
        Self { dir }
    }

    fn client(&self, name: &str) -> ClientTls {
        let path = |name: String| self.dir.path().join(name);
        ClientTls {
            ca: path("ca.crt".into()),
            certificate: path(format!("{name}.crt")),
            key: path(format!("{name}.key")),
        }
    }
}

struct Server {
    endpoint: String,
    pki: Pki,
    data: TempDir,
    store: Arc<FileStore>,
    _stop: oneshot::Sender<()>,
}

async fn start(compat: Compat) -> Server {
    let (data, pki) = (TempDir::new().unwrap(), Pki::new());
    for folder in FOLDERS {
        std::fs::create_dir(data.path().join(folder)).unwrap();
    }
    let store = Arc::new(FileStore::open(data.path(), compat).unwrap());
    let files = pki.client("server");
    let tls = TlsConfig {
        certificate: files.certificate,
        key: files.key,
        client_ca: Some(files.ca),
        alpn: vec!["h2"],
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("localhost:{}", listener.local_addr().unwrap().port());
    let (stop, stopped) = oneshot::channel();
    let config = GrpcConfig {
        store: store.clone(),
        tls: Some(Arc::new(Tls::load(tls).unwrap())),
        limits: ServeConfig { drain: Duration::ZERO, ..ServeConfig::default() },
    };
    tokio::spawn(serve_grpc(listener, config, async { drop(stopped.await) }));
    Server { endpoint, pki, data, store, _stop: stop }
}

/// Octets as they are: what a call sends and gets.
#[derive(Clone, Debug, Default, PartialEq)]
struct Raw(Vec<u8>);

impl Message for Raw {
    fn encode_raw(&self, out: &mut impl bytes::BufMut) {
        out.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut impl bytes::Buf,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {}
}

async fn call<T: Message + Default + Send + Sync + 'static>(
    channel: &Channel,
    path: &str,
    octets: Vec<u8>,
) -> Result<T, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Raw, T>::default();
    let path: PathAndQuery = path.parse().unwrap();
    client.unary(Request::new(Raw(octets)), path, codec).await.map(tonic::Response::into_inner)
}

fn octets(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Calls, and says how the answer differs from the recorded one.
async fn compare<T: std::fmt::Debug + Message + Default + PartialEq + Send + Sync + 'static>(
    channel: &Channel,
    path: &str,
    case: &Value,
) -> Option<String> {
    let got = call::<T>(channel, path, octets(case["request_hex"].as_str().unwrap())).await;
    let want = case["expect"]["code"].as_str().unwrap();
    match got {
        Ok(got) => {
            let hex = case["expect"]["response_hex"].as_str();
            let Some(hex) = hex else { return Some(format!("want {want}, got OK {got:?}")) };
            let message = T::decode(&*octets(hex)).unwrap();
            (message != got).then(|| format!("want {message:?}, got {got:?}"))
        }
        Err(status) => {
            let code = match status.code() {
                Code::NotFound => "NOT_FOUND",
                Code::Unknown => "UNKNOWN",
                Code::Unimplemented => "UNIMPLEMENTED",
                Code::Internal => "INTERNAL",
                Code::FailedPrecondition => "FAILED_PRECONDITION",
                Code::InvalidArgument => "INVALID_ARGUMENT",
                _ => "another",
            };
            let same_text = !want.starts_with("NOT_FOUND") || case["expect"]["message"] == *status.message();
            (code != want || !same_text).then(|| format!("want {want}, got {status:?}"))
        }
    }
}

async fn replay(recorded: &str, compat: Compat) {
    let server = start(compat).await;
    let channel = Channel::connect(&server.endpoint, Some(&server.pki.client("client"))).await.unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(recorded);
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut faults = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let path = case["call"].as_str().unwrap();
        let method = path.rsplit('/').next().unwrap();
        let fault = match method {
            "GroupGet" => compare::<rpcpb::GroupGetResponse>(&channel, path, case).await,
            "GroupList" => compare::<rpcpb::GroupListResponse>(&channel, path, case).await,
            "ProfileGet" => compare::<rpcpb::ProfileGetResponse>(&channel, path, case).await,
            "ProfileList" => compare::<rpcpb::ProfileListResponse>(&channel, path, case).await,
            "IgnitionGet" => compare::<rpcpb::IgnitionGetResponse>(&channel, path, case).await,
            "GenericGet" => compare::<rpcpb::GenericGetResponse>(&channel, path, case).await,
            "SelectGroup" => compare::<rpcpb::SelectGroupResponse>(&channel, path, case).await,
            "SelectProfile" => compare::<rpcpb::SelectProfileResponse>(&channel, path, case).await,
            _ => compare::<Raw>(&channel, path, case).await,
        };
        faults.extend(fault.map(|fault| format!("{i} {path} {}: {fault}", case["request_hex"])));
    }
    println!("{recorded}: {} of {} match", cases.len() - faults.len(), cases.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn the_calls_of_matchbox() {
    replay("grpc-main.json", Compat::Matchbox).await;
}

#[tokio::test]
async fn the_calls_of_bootcfg_040() {
    replay("grpc-v040.json", Compat::Bootcfg040).await;
}

#[tokio::test]
async fn a_put_without_its_message_is_an_invalid_argument() {
    let server = start(Compat::Matchbox).await;
    let channel = Channel::connect(&server.endpoint, Some(&server.pki.client("client"))).await.unwrap();
    for path in ["/rpcpb.Groups/GroupPut", "/rpcpb.Profiles/ProfilePut"] {
        let status = call::<Raw>(&channel, path, Vec::new()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    assert!(call::<Raw>(&channel, "/rpcpb.Groups/GroupList", Vec::new()).await.is_ok(), "the server lives");
}

#[tokio::test]
async fn ids_cannot_leave_their_folder_and_no_path_is_told() {
    let server = start(Compat::Strict).await;
    let channel = Channel::connect(&server.endpoint, Some(&server.pki.client("client"))).await.unwrap();
    let root = server.data.path().to_str().unwrap().to_string();
    for id in ["../esc", "/etc/passwd", "a/../../b", ".."] {
        let group = rpcpb::Group { id: id.into(), profile: "p".into(), ..rpcpb::Group::default() };
        let put = rpcpb::GroupPutRequest { group: Some(group) }.encode_to_vec();
        let get = rpcpb::GroupGetRequest { id: id.into() }.encode_to_vec();
        for (path, request) in [
            ("/rpcpb.Groups/GroupPut", put),
            ("/rpcpb.Groups/GroupGet", get.clone()),
            ("/rpcpb.Groups/GroupDelete", get.clone()),
            ("/rpcpb.Ignition/IgnitionGet", get.clone()),
            ("/rpcpb.Ignition/IgnitionDelete", get.clone()),
            ("/rpcpb.Generic/GenericPut", get),
        ] {
            let status = call::<Raw>(&channel, path, request).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{path} {id}: {status:?}");
            assert!(!status.message().contains(&root), "{status:?}");
        }
    }
    let get = rpcpb::ProfileGetRequest { id: "none".into() }.encode_to_vec();
    let status = call::<Raw>(&channel, "/rpcpb.Profiles/ProfileGet", get).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no profile named `none`"));
    let entries = std::fs::read_dir(server.data.path()).unwrap().count();
    assert_eq!(entries, FOLDERS.len(), "nothing was written beside the folders");
}

#[tokio::test]
async fn a_message_of_more_than_4_mib_is_refused() {
    let server = start(Compat::Matchbox).await;
    let channel = Channel::connect(&server.endpoint, Some(&server.pki.client("client"))).await.unwrap();
    let put = rpcpb::GenericPutRequest { name: "big".into(), config: vec![b'x'; 5 << 20] }.encode_to_vec();
    let status = call::<Raw>(&channel, "/rpcpb.Generic/GenericPut", put).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
}

#[tokio::test]
async fn strangers_are_refused() {
    let server = start(Compat::Matchbox).await;
    for name in ["stranger"] {
        let connected = Channel::connect(&server.endpoint, Some(&server.pki.client(name))).await;
        // TLS 1.3 tells a client after its own handshake: at the first call at the latest.
        let refused = match connected {
            Err(ConnectError::Tls { .. } | ConnectError::Http { .. }) => true,
            Err(_) => false,
            Ok(channel) => {
                let mut client = tonic::client::Grpc::new(channel);
                client.ready().await.is_err() || {
                    let codec = tonic_prost::ProstCodec::<Raw, Raw>::default();
                    let path = PathAndQuery::from_static("/rpcpb.Groups/GroupList");
                    client.unary(Request::new(Raw::default()), path, codec).await.is_err()
                }
            }
        };
        assert!(refused, "{name}");
    }
    let plain = Channel::connect(&server.endpoint, None).await;
    if let Ok(channel) = plain {
        let mut client = rpcpb::groups_client::GroupsClient::new(channel);
        assert!(client.group_list(rpcpb::GroupListRequest {}).await.is_err());
    }
}

#[tokio::test]
async fn a_watch_tells_every_snapshot() {
    use bootcfg::driver::store::{Kind, Store};
    let server = start(Compat::Strict).await;
    let channel = Channel::connect(&server.endpoint, Some(&server.pki.client("client"))).await.unwrap();
    let mut client = v1::store_client::StoreClient::new(channel);
    let version = client.version(v1::VersionRequest {}).await.unwrap().into_inner();
    assert_eq!((version.version.as_str(), version.compat.as_str()), (env!("CARGO_PKG_VERSION"), "strict"));
    let mut watch = client.watch(v1::WatchRequest {}).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().groups, 0);
    server.store.write(Kind::Group, "bad", b"{").unwrap();
    let seen = watch.message().await.unwrap().unwrap();
    assert_eq!((seen.snapshot, seen.broken.len(), seen.broken[0].file.as_str()), (1, 1, "groups/bad.json"));
}
