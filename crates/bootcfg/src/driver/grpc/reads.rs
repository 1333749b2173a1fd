//! The calls that only read: Get, List, Select, Version and Watch.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;
use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::convert::{group_message, profile_message};
use super::server::Api;
use super::{rpcpb, v1};
use crate::catalog::{Catalog, Selection};
use crate::compat::Compat;
use crate::driver::store::{Kind, Store};
use crate::fault::Reason;
use crate::group::Group;
use crate::labels::Labels;
use crate::profile::Profile;

impl Api {
    pub(super) fn get_group(&self, id: &str) -> Result<rpcpb::Group, Status> {
        let catalog = self.store.snapshot();
        if let Some(group) = catalog.group(id) {
            return Ok(group_message(group));
        }
        Err(self.absent(&catalog, Kind::Group, id))
    }

    pub(super) fn list_groups(&self) -> Vec<rpcpb::Group> {
        let catalog = self.store.snapshot();
        let mut groups: Vec<&Group> = catalog.groups().collect();
        groups.sort_by(|a, b| a.file().cmp(b.file()));
        groups.into_iter().map(group_message).collect()
    }

    pub(super) fn get_profile(&self, id: &str) -> Result<rpcpb::Profile, Status> {
        let catalog = self.store.snapshot();
        match catalog.profile(id) {
            Some(profile) => Ok(profile_message(profile, catalog.compat())),
            None => Err(self.absent(&catalog, Kind::Profile, id)),
        }
    }

    pub(super) fn list_profiles(&self) -> Vec<rpcpb::Profile> {
        let catalog = self.store.snapshot();
        let top = |profile: &&Profile| !profile.file_id().contains('/');
        catalog.profiles().filter(top).map(|profile| profile_message(profile, catalog.compat())).collect()
    }

    pub(super) fn get_template(&self, kind: Kind, name: &str) -> Result<Vec<u8>, Status> {
        let catalog = self.store.snapshot();
        let path = kind.path(name).map_err(|error| self.refused(&error))?;
        match catalog.template(&path) {
            Some(template) => Ok(template.source().to_vec()),
            None => Err(self.absent(&catalog, kind, name)),
        }
    }

    /// Not there, or there and broken.
    fn absent(&self, catalog: &Catalog, kind: Kind, id: &str) -> Status {
        let path = match kind.path(id) {
            Ok(path) => path,
            Err(error) => return self.refused(&error),
        };
        let broken = catalog.broken().find(|broken| *broken.file == *path);
        let text = match broken {
            Some(broken) => broken.fault(Reason::GroupBroken).to_string(),
            None => format!("no {} named `{id}`", kind.as_str()),
        };
        match (catalog.compat(), broken) {
            (Compat::Strict, None) => Status::not_found(text),
            (Compat::Strict, Some(_)) => Status::failed_precondition(text),
            _ => Status::unknown(text),
        }
    }

    pub(super) fn select(
        &self,
        labels: std::collections::HashMap<String, String>,
    ) -> Result<(rpcpb::Group, Option<rpcpb::Profile>), Status> {
        let catalog = self.store.snapshot();
        match catalog.select(&Labels::from_pairs(labels)) {
            Selection::Group { group, profile } => {
                let profile = profile.ok().map(|profile| profile_message(profile, catalog.compat()));
                Ok((group_message(group), profile))
            }
            Selection::NoGroup => Err(Status::not_found(format!("{}: No matching Group", self.name()))),
            Selection::Broken(broken) => {
                Err(Status::failed_precondition(broken.fault(Reason::GroupBroken).to_string()))
            }
        }
    }
}

#[tonic::async_trait]
impl rpcpb::select_server::Select for Api {
    async fn select_group(
        &self,
        request: Request<rpcpb::SelectGroupRequest>,
    ) -> Result<Response<rpcpb::SelectGroupResponse>, Status> {
        let (group, _) = self.select(request.into_inner().labels)?;
        Ok(Response::new(rpcpb::SelectGroupResponse { group: Some(group) }))
    }

    async fn select_profile(
        &self,
        request: Request<rpcpb::SelectProfileRequest>,
    ) -> Result<Response<rpcpb::SelectProfileResponse>, Status> {
        let (_, profile) = self.select(request.into_inner().labels)?;
        let missing = || Status::not_found(format!("{}: No matching Profile", self.name()));
        Ok(Response::new(rpcpb::SelectProfileResponse { profile: Some(profile.ok_or_else(missing)?) }))
    }
}

#[tonic::async_trait]
impl v1::store_server::Store for Api {
    type WatchStream = Snapshots;

    async fn version(&self, _: Request<v1::VersionRequest>) -> Result<Response<v1::VersionResponse>, Status> {
        let compat = self.store.snapshot().compat().to_string();
        Ok(Response::new(v1::VersionResponse { version: env!("CARGO_PKG_VERSION").into(), compat }))
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Snapshots>, Status> {
        let mut versions = self.store.versions();
        versions.mark_changed();
        Ok(Response::new(Snapshots { store: self.store.clone(), next: next_version(versions) }))
    }
}

type NextVersion = Pin<Box<dyn Future<Output = Option<(u64, watch::Receiver<u64>)>> + Send>>;

fn next_version(mut versions: watch::Receiver<u64>) -> NextVersion {
    Box::pin(async move {
        versions.changed().await.ok()?;
        let version = *versions.borrow_and_update();
        Some((version, versions))
    })
}

/// What Watch streams: every snapshot from now on; those that a slow reader misses are left out.
pub(super) struct Snapshots {
    store: Arc<dyn Store>,
    next: NextVersion,
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").finish_non_exhaustive()
    }
}

impl Stream for Snapshots {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some((snapshot, versions)) = ready!(self.next.as_mut().poll(cx)) else {
            return Poll::Ready(None);
        };
        self.next = next_version(versions);
        let catalog = self.store.snapshot();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let broken = catalog.broken().map(|broken| v1::Broken {
            file: broken.file.to_string(),
            line: broken.error.line,
            column: broken.error.column,
            message: broken.error.message.into(),
        });
        Poll::Ready(Some(Ok(v1::WatchResponse {
            snapshot,
            groups: count(catalog.group_count()),
            profiles: count(catalog.profiles().count()),
            broken: broken.collect(),
        })))
    }
}
