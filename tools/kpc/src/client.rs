//! The verbs' side of the operators' API: HTTP over the server's socket.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::api::Fault;

/// Speaks to one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the server behind `socket`; nothing is opened yet.
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf() }
    }

    /// `GET path`, decoded.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        decode(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    /// `GET path` as it is.
    pub(crate) async fn get_text(&self, path: &str) -> Result<String, String> {
        let body = checked(self.send(Method::GET, path, Bytes::new()).await?).await?;
        String::from_utf8(body.to_vec()).map_err(|error| format!("{path}: {error}"))
    }

    /// `POST path` with a JSON body, decoded.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, String> {
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        decode(self.send(Method::POST, path, body.into()).await?).await
    }

    /// The stream of server-sent events.
    pub(crate) async fn events(&self) -> Result<Events, String> {
        let response = self.send(Method::GET, "/v1/events", Bytes::new()).await?;
        if !response.status().is_success() {
            return Err(checked(response).await.err().unwrap_or_default());
        }
        Ok(Events { body: response.into_body(), buffer: Vec::new() })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, String> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            format!(
                "no server behind {}: {error}; start it with `kpc serve` or name it with --socket",
                self.socket.display()
            )
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("{}: {error}", self.socket.display()))?;
        // Ends with the response's body: nobody else holds the connection.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "kpc")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        sender.send_request(request).await.map_err(|error| format!("{}: {error}", self.socket.display()))
    }
}

/// Server-sent events, one JSON value each.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event; `None` when the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Option<serde_json::Value> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let data = String::from_utf8_lossy(&block);
                let json = data.lines().find_map(|line| line.strip_prefix("data: "));
                if let Some(value) = json.and_then(|json| serde_json::from_str(json).ok()) {
                    return Some(value);
                }
                continue;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

async fn checked(response: Response<Incoming>) -> Result<Bytes, String> {
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    match serde_json::from_slice::<Fault>(&body) {
        Ok(fault) => Err(fault.error),
        Err(_) => Err(format!("the server answered {status}")),
    }
}

async fn decode<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, String> {
    let body = checked(response).await?;
    serde_json::from_slice(&body)
        .map_err(|error| format!("the server's answer is not what this version expects: {error}"))
}
