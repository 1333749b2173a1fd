//! Debian's Chromium through its driver (W3C WebDriver), inside the namespace of a test. The driver speaks JSON over
//! HTTP; curl carries it, because the test itself stands outside the namespace.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use kpc_tests::{Guard, run_within, wait_for};
use serde_json::{Value, json};

use crate::kpc_support::Namespace;

const LIMIT: Duration = Duration::from_secs(20);
const DRIVER: &str = "http://127.0.0.1:9515";

/// One window of a browser.
pub(crate) struct Browser<'a> {
    namespace: &'a Namespace,
    session: String,
    _driver: Guard,
}

impl<'a> Browser<'a> {
    /// Starts one of this size, in a folder of its own; `script` says whether pages may run any.
    pub(crate) fn start(namespace: &'a Namespace, folder: &Path, size: (u32, u32), script: bool) -> Self {
        let home = folder.join("browser");
        fs::create_dir_all(&home).unwrap();
        let mut driver = namespace.command("chromedriver");
        driver
            .args(["--port=9515", "--silent"])
            .env("HOME", &home)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let driver = Guard::spawn(&mut driver);
        let mut browser = Self { namespace, session: String::new(), _driver: driver };
        wait_for("chromedriver answers", LIMIT, || {
            browser.try_call("GET", "/status", None).is_some_and(|status| status["value"]["ready"] == true)
        });
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(), // a sandbox of its own cannot be had by root in a namespace
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--force-device-scale-factor=1".to_owned(),
            format!("--window-size={},{}", size.0, size.1),
            format!("--user-data-dir={}", home.join("profile").display()),
        ];
        let preferences = if script {
            json!({})
        } else {
            json!({ "profile.managed_default_content_settings.javascript": 2 })
        };
        let asked = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": arguments, "prefs": preferences },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let answer = browser.call("POST", "/session", Some(&asked));
        browser.session = answer["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let mut curl = self.namespace.command("curl");
        curl.args(["--silent", "--max-time", "55", "--request", method]);
        if let Some(body) = body {
            curl.args(["--header", "content-type: application/json", "--data", &body.to_string()]);
        }
        let (good, text) = run_within(curl.arg(format!("{DRIVER}{path}")), LIMIT);
        good.then(|| serde_json::from_str(&text).ok()).flatten()
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer =
            self.try_call(method, path, body).unwrap_or_else(|| panic!("{method} {path}: no answer"));
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{method} {path}: {value:#}");
        value
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        self.call(method, &path, (method == "POST").then_some(body))
    }

    /// Loads an address.
    pub(crate) fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Runs the body of a function in the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Whether the body of a function returns true within the limit.
    pub(crate) fn wait(&self, what: &str, script: &str) {
        wait_for(what, LIMIT, || self.run(script) == true);
    }

    /// Presses keys, one after the other, where the focus is.
    pub(crate) fn press(&self, keys: &[&str]) {
        let pressed = |key: &&str| {
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        };
        let actions: Vec<Value> = keys.iter().flat_map(pressed).collect();
        self.command(
            "POST",
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }),
        );
    }

    /// Calls the browser's own protocol.
    pub(crate) fn chrome(&self, command: &str, parameters: &Value) -> Value {
        self.command("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// What the page complained of: errors of scripts, refused assets.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        let severe = log.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// A picture of the window, as a PNG.
    pub(crate) fn picture(&self, path: &Path) {
        let base64 = self.command("GET", "/screenshot", &Value::Null);
        fs::write(
            path,
            base64::engine::general_purpose::STANDARD.decode(base64.as_str().expect("a picture")).unwrap(),
        )
        .unwrap();
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // The driver ends the browser; the guard then ends the driver.
            let _ = self.try_call("DELETE", &format!("/session/{}", self.session), None);
        }
    }
}
