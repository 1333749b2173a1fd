//! What runs beside us: serde_json as the measure of the machine, two template engines, and a file server from Debian.

use std::hint::black_box;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::data;

/// Processor time this thread has had.
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// The least processor time of reading 1 MiB of JSON into a `serde_json::Value`.
pub(crate) fn serde_json_parse() -> Duration {
    let item = serde_json::json!({"path": "/etc/app/conf.d/file.conf", "mode": 420, "contents": {"source": "data:,key%20%3D%20value%0A"}});
    let text = serde_json::Value::from(vec![item; (1 << 20) / 94]).to_string();
    let parse = || {
        let begin = spent();
        black_box(serde_json::from_str::<serde_json::Value>(&text).unwrap());
        (spent() - begin).mul_f64(f64::from(1 << 20) / text.len() as f64)
    };
    (0..30).map(|_| parse()).min().unwrap()
}

/// Rendering alone of the 10 KiB template, parsed once.
pub(crate) fn templates() {
    let source = data::template();
    let json = serde_json::json!({
        "role": "db", "keys": ["ssh-ed25519 AAAA a@b", "ssh-rsa BBBB c@d"],
        "request": {"query": {"mac": "52:54:00:00:00:00"}},
    });
    let least = |render: &mut dyn FnMut()| {
        let time = |render: &mut dyn FnMut()| {
            let begin = spent();
            (0..50).for_each(|_| render());
            (spent() - begin) / 50
        };
        (0..20).map(|_| time(render)).min().unwrap()
    };
    println!("rendering alone of the 10 KiB template, parsed once (matchbox parses it at every request)");
    let ours =
        go_template::Template::parse("t", source.as_bytes(), &go_template::Functions::default()).unwrap();
    let value = go_template::Value::from(&json);
    let limits = go_template::Limits::default();
    let time = least(&mut || _ = black_box(ours.render_to_vec(&value, &limits).unwrap()));
    println!("{:24} {time:>9.1?}", "go-template");
    let peer = gotmpl::Template::new("t").parse(&source).unwrap();
    let value = gotmpl_value(&json);
    let time = least(&mut || _ = black_box(peer.execute_to_string(&value).unwrap()));
    println!("{:24} {time:>9.1?}", "gotmpl");
    let mut peer = gtmpl_ng::Template::default();
    peer.parse(&source).unwrap();
    let context = gtmpl_ng::Context::from(gtmpl_value(&json));
    let time = least(&mut || _ = black_box(peer.render(&context).unwrap()));
    println!("{:24} {time:>9.1?}\n", "gtmpl-ng");
}

fn gotmpl_value(json: &serde_json::Value) -> gotmpl::Value {
    match json {
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), gotmpl_value(value)));
            entries.collect::<std::collections::BTreeMap<_, _>>().into()
        }
        serde_json::Value::Array(items) => items.iter().map(gotmpl_value).collect::<Vec<_>>().into(),
        other => other.as_str().unwrap_or_default().into(),
    }
}

fn gtmpl_value(json: &serde_json::Value) -> gtmpl_ng::Value {
    match json {
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), gtmpl_value(value)));
            entries.collect::<std::collections::HashMap<_, _>>().into()
        }
        serde_json::Value::Array(items) => items.iter().map(gtmpl_value).collect::<Vec<_>>().into(),
        other => other.as_str().unwrap_or_default().into(),
    }
}

/// A file server in a process of its own, killed when dropped.
pub(crate) struct FileServer {
    pub(crate) name: &'static str,
    pub(crate) addr: SocketAddr,
    child: Child,
}

/// nginx if it is there, else Python's.
pub(crate) fn file_server(root: &Path) -> Option<FileServer> {
    let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let config = root.join("../nginx.conf");
    let text = format!(
        "daemon off; error_log /dev/null; pid {0}/../nginx.pid; events {{}} http {{ access_log off; sendfile on; \
         client_body_temp_path {0}/..; proxy_temp_path {0}/..; fastcgi_temp_path {0}/..; uwsgi_temp_path {0}/..; scgi_temp_path {0}/..; \
         server {{ listen 127.0.0.1:{port}; root {0}; }} }}",
        root.display()
    );
    std::fs::write(&config, text).ok()?;
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok();
    let nginx = quiet(Command::new("nginx").arg("-c").arg(&config).arg("-p").arg(root));
    let (name, child) = match nginx {
        Some(child) => ("nginx", child),
        None => {
            let mut python = Command::new("python3");
            python
                .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
                .arg(root)
                .arg(port.to_string());
            ("python3 -m http.server", quiet(&mut python)?)
        }
    };
    let begin = Instant::now();
    while TcpStream::connect(addr).is_err() {
        if begin.elapsed() > Duration::from_secs(10) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(FileServer { name, addr, child })
}

impl Drop for FileServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
