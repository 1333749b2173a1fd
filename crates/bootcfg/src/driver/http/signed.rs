//! `.sig` and `.asc`: the signature of exactly what the same request without the ending would get.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::Response;

use super::body::Body;
use super::reply;
use super::service::{Facts, Outcome, Service, failed};
use crate::compat::Compat;
use crate::driver::assets::{Asset, Assets};
use crate::fault::{Fault, Reason};
use crate::route::SignatureForm;
use crate::sign::{Sign, SignError, SignedAs};
use crate::sniff;

/// Signatures of assets kept, so that a large file is not hashed for every machine.
const CACHED: usize = 128;

/// Which octets a signature is of: the file by path, size and time, and the form.
type CacheKey = (Vec<u8>, u64, Option<u64>, SignatureForm);

/// Signatures of assets made before.
#[derive(Debug, Default)]
pub(super) struct SignatureCache(Mutex<HashMap<CacheKey, Bytes>>);

impl SignatureCache {
    fn find(&self, key: &CacheKey) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: CacheKey, signature: Bytes) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(key, signature);
    }
}

#[expect(clippy::disallowed_methods, reason = "drivers read the clock")]
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

fn answer(status: u16, signature: Bytes) -> Response<Body> {
    let content_type = sniff::content_type(&signature);
    reply::full(status, Some(content_type), signature)
}

impl Service {
    /// Replaces an answer by its signature; the status stays. In strict mode a fault is told instead.
    pub(super) async fn signed(&self, outcome: Outcome, form: SignatureForm) -> Outcome {
        let Some(signer) = self.config.signer.clone() else { return outcome };
        let strict = self.config.store.snapshot().compat().is_strict();
        if outcome.facts.fault.is_some() && strict {
            return outcome;
        }
        let Outcome { response, facts } = outcome;
        let status = response.status().as_u16();
        let Some(octets) = response.into_body().into_memory() else {
            return refused(facts, SignError("the answer is not in memory".into()));
        };
        let signing =
            tokio::task::spawn_blocking(move || signer.sign(form, SignedAs::Text, &mut &*octets, now()));
        match signing.await {
            Ok(Ok(signature)) => Outcome { response: answer(status, signature.into()), facts },
            Ok(Err(error)) => refused(facts, error),
            Err(error) => refused(facts, SignError(error.to_string())),
        }
    }

    /// The signature of a file below `/assets/`.
    pub(super) async fn signed_asset(
        &self,
        assets: Assets,
        path: Vec<u8>,
        form: SignatureForm,
        signer: Arc<dyn Sign>,
        compat: Compat,
    ) -> Outcome {
        let name = path.clone();
        let opened = tokio::task::spawn_blocking(move || assets.open(&name)).await;
        let Ok(Ok(Asset::File { file, size, modified, .. })) = opened else {
            return failed(compat, Facts::default(), Fault::new(Reason::NotFound, "no such asset"));
        };
        let key = (path, size, modified, form);
        if let Some(signature) = self.signatures.find(&key) {
            return answer(200, signature).into();
        }
        let signing = tokio::task::spawn_blocking(move || {
            signer.sign(form, SignedAs::Octets, &mut file.take(size), now())
        });
        match signing.await {
            Ok(Ok(signature)) => {
                let signature = Bytes::from(signature);
                self.signatures.keep(key, signature.clone());
                answer(200, signature).into()
            }
            Ok(Err(error)) => refused(Facts::default(), error),
            Err(error) => refused(Facts::default(), SignError(error.to_string())),
        }
    }
}

fn refused(facts: Facts, error: SignError) -> Outcome {
    let fault = Fault::new(Reason::Unsupported, error.to_string());
    Outcome {
        response: reply::error(500, "500 Internal Server Error\n"),
        facts: Facts { fault: Some(fault), ..facts },
    }
}
