//! Log lines: one for each answer, one for each file that cannot be read.

use bootcfg::Broken;
use bootcfg::driver::http::{Access, Hook, Metrics, Target};
use tracing::{error, info, warn};

/// Names a group or profile that does not parse.
pub(crate) fn broken(broken: &Broken) {
    let at = broken.error;
    error!(file = &*broken.file, line = at.line, column = at.column, "{}", at.message);
}

/// Logs every answer.
#[derive(Debug, Default)]
pub(crate) struct AccessLog {
    /// Counts them too.
    pub(crate) metrics: Metrics,
}

impl Hook for AccessLog {
    fn record(&self, access: &Access) {
        self.metrics.record(access);
        let path = match &access.target {
            Target::Home => "/".to_string(),
            Target::BootScript => "/boot.ipxe".to_string(),
            Target::Endpoint(endpoint) => format!("/{}", endpoint.as_str()),
            Target::Asset(path) => format!("/assets/{path}"),
            Target::Other(path) => path.clone(),
        };
        let mac = access.labels.get("mac").unwrap_or_default();
        let group = access.group.as_deref().unwrap_or_default();
        let profile = access.profile.as_deref().unwrap_or_default();
        let template = access.template.as_deref().unwrap_or_default();
        let (status, octets, complete, peer) = (access.status, access.octets, access.complete, access.peer);
        match (&access.reason, &access.detail) {
            (Some(reason), detail) => {
                let detail = detail.as_deref().unwrap_or_default();
                warn!(%peer, method = access.method, path, mac, status, group, profile, template, %reason, detail, "not served");
            }
            (None, _) => {
                info!(%peer, method = access.method, path, mac, status, octets, complete, group, profile, template, "served");
            }
        }
    }
}
