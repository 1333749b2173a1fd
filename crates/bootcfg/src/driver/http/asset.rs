//! `/assets/`: files, folders and their listings.

use hyper::header::{ACCEPT_RANGES, HeaderMap, IF_MODIFIED_SINCE, LAST_MODIFIED};
use hyper::{Method, Response};
use tokio::runtime::Handle;

use super::body::{Body, on_blocking_thread};
use super::reply::{self, HTML, Octets};
use crate::compat::Compat;
use crate::content::{Content, type_by_extension};
use crate::driver::assets::{Asset, Assets, listing_page};
use crate::fault::{Fault, Reason};
use crate::sniff;

/// Go sniffs this much.
const SNIFF: usize = 512;

/// What is asked.
pub(super) struct Ask<'a> {
    pub(super) path: Vec<u8>,
    pub(super) query: Option<&'a [u8]>,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    /// Where the file is opened and read, if not on this runtime.
    pub(super) files: Option<&'a Handle>,
}

/// Answers; the fault is for the log.
pub(super) async fn answer(assets: Assets, ask: Ask<'_>, compat: Compat) -> (Response<Body>, Option<Fault>) {
    let path = ask.path;
    let opened = on_blocking_thread(ask.files, move || {
        let asset = assets.open(&path)?;
        let start = match &asset {
            Asset::File { file, name, .. } if type_by_extension(name, compat).is_none() => {
                let mut start = Vec::with_capacity(SNIFF);
                rustix::io::pread(file, rustix::buffer::spare_capacity(&mut start), 0)?;
                start
            }
            _ => Vec::new(),
        };
        Ok::<_, std::io::Error>((asset, start))
    });
    let failed = |text: &str| {
        let fault = Fault::new(Reason::NotFound, text);
        (reply::error(500, "500 Internal Server Error\n"), Some(fault))
    };
    let (asset, start) = match opened.await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return failed(&error.to_string()),
        Err(error) => return failed(&error.to_string()),
    };
    match asset {
        Asset::NotFound => {
            let fault = Fault::new(Reason::NotFound, "no such asset");
            (reply::fault(compat, &fault), Some(fault))
        }
        Asset::Forbidden => {
            let fault = Fault::new(
                Reason::Refused,
                "the server may not read this asset: check the file's permissions",
            );
            (reply::error(403, "403 Forbidden\n"), Some(fault))
        }
        Asset::Redirect(location) => {
            (reply::local_redirect(&location, ask.query.map(String::from_utf8_lossy).as_deref()), None)
        }
        Asset::Listing { names, modified } => {
            let page = listing_page(&names, compat != Compat::Bootcfg040);
            // Go asks a listing for nothing but its age.
            let since = ask.headers.get(IF_MODIFIED_SINCE).map(|since| (IF_MODIFIED_SINCE, since.clone()));
            let headers = HeaderMap::from_iter(since);
            let content = Content { size: page.len() as u64, modified, content_type: HTML };
            let octets = Octets::Memory(page.into());
            let mut response = reply::content(octets, content, (ask.method, &headers, compat));
            response.headers_mut().remove(ACCEPT_RANGES);
            if response.status() == 304 {
                response.headers_mut().remove(LAST_MODIFIED);
            }
            (response, None)
        }
        Asset::File { file, size, modified, name } => {
            let content_type =
                type_by_extension(&name, compat).unwrap_or_else(|| sniff::content_type(&start));
            let content = Content { size, modified, content_type };
            let mut response = reply::content(Octets::File(file), content, (ask.method, ask.headers, compat));
            response.body_mut().read_on(ask.files.cloned());
            (response, None)
        }
    }
}
