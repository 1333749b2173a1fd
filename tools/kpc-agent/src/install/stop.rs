//! What stops an installation, and how the server hears of it. Called by the role `install` and by the two verbs of a
//! distribution's installer.

use serde_json::Value;

use crate::console::fail;
use crate::parameters::Parameters;
use crate::server::{Refused, Server};

/// Why the installation stopped.
pub(super) enum Stop {
    /// It is told to the server, where the order ends with these words and the word for the cause, where there is one.
    Failed(String, Option<&'static str>),
    /// The server does not want to hear of this boot any more.
    Refused(Refused),
}

impl From<String> for Stop {
    fn from(words: String) -> Self {
        Self::Failed(words, None)
    }
}

/// The word for a cause, as the server knows it.
pub(super) fn because(cause: &'static str) -> impl FnOnce(String) -> Stop {
    move |words| Stop::Failed(words, Some(cause))
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        match refused.status {
            409 => Self::Failed(refused.words, None),
            _ => Self::Refused(refused),
        }
    }
}

impl Stop {
    /// Says it here, and to the server unless that is who stopped it.
    pub(super) fn tell(self, server: &Server) {
        let (words, cause) = match self {
            Self::Failed(words, cause) => (words, cause),
            Self::Refused(refused) => {
                return fail(format!("stopped: the server answered {} {}", refused.status, refused.words));
            }
        };
        fail(format!("stopped: {words}"));
        let mut report = server.report("failed", &words);
        if let (Some(cause), Value::Object(report)) = (cause, &mut report) {
            report.insert("code".to_owned(), cause.into());
        }
        if let Err(refused) = server.call("/v1/report", &report) {
            fail(format!("the server takes no report: {}", refused.words));
        }
    }
}

/// The server that this boot's order names on the kernel's command line.
pub(super) fn server(parameters: &Parameters) -> Option<Server> {
    let (url, claim) = (parameters.server.clone()?, parameters.claim.clone()?);
    Some(Server { url, claim, pause: std::thread::sleep })
}
