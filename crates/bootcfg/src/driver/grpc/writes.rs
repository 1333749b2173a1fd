//! The services that write: each Put is whole or not at all, each Delete of nothing is an error.

use tonic::{Request, Response, Status};

use super::convert::{group_file, profile_file};
use super::rpcpb;
use super::server::Api;
use crate::compat::Compat;
use crate::driver::store::{Kind, StoreError};

impl Api {
    async fn put(&self, kind: Kind, id: String, octets: Vec<u8>) -> Result<(), Status> {
        let store = self.store.clone();
        let written = tokio::task::spawn_blocking(move || store.write(kind, &id, &octets)).await;
        written
            .map_err(|_| Status::internal("the write was cut short"))?
            .map_err(|error| self.refused(&error))
    }

    async fn delete(&self, kind: Kind, id: String) -> Result<(), Status> {
        let store = self.store.clone();
        let removed = tokio::task::spawn_blocking(move || store.remove(kind, &id)).await;
        removed
            .map_err(|_| Status::internal("the removal was cut short"))?
            .map_err(|error| self.refused(&error))
    }

    /// A store's error as a status; nothing in it names a path of this machine.
    pub(super) fn refused(&self, error: &StoreError) -> Status {
        let strict = self.store.snapshot().compat() == Compat::Strict;
        match error {
            StoreError::BadId(id) if id.is_empty() && !strict => Status::unknown("no id"),
            StoreError::BadId(_) => Status::invalid_argument(error.to_string()),
            StoreError::Missing { .. } if strict => Status::not_found(error.to_string()),
            StoreError::Missing { .. } => Status::unknown(error.to_string()),
            StoreError::ReadOnly => Status::permission_denied(error.to_string()),
            StoreError::Write { kind, id, source } => {
                tracing::error!("{error}");
                Status::internal(format!("cannot write {} `{id}`: {}", kind.as_str(), source.kind()))
            }
            StoreError::Folder { .. } => Status::internal("the store's folder cannot be read"),
        }
    }
}

fn missing(what: &str) -> Status {
    Status::invalid_argument(format!("the request has no {what}"))
}

#[tonic::async_trait]
impl rpcpb::groups_server::Groups for Api {
    async fn group_put(
        &self,
        request: Request<rpcpb::GroupPutRequest>,
    ) -> Result<Response<rpcpb::GroupPutResponse>, Status> {
        let group = request.into_inner().group.ok_or_else(|| missing("group"))?;
        let text = group_file(&group, self.store.snapshot().compat())?;
        self.put(Kind::Group, group.id, text).await?;
        Ok(Response::new(rpcpb::GroupPutResponse {}))
    }

    async fn group_get(
        &self,
        request: Request<rpcpb::GroupGetRequest>,
    ) -> Result<Response<rpcpb::GroupGetResponse>, Status> {
        let group = self.get_group(&request.into_inner().id)?;
        Ok(Response::new(rpcpb::GroupGetResponse { group: Some(group) }))
    }

    async fn group_delete(
        &self,
        request: Request<rpcpb::GroupDeleteRequest>,
    ) -> Result<Response<rpcpb::GroupDeleteResponse>, Status> {
        self.delete(Kind::Group, request.into_inner().id).await?;
        Ok(Response::new(rpcpb::GroupDeleteResponse {}))
    }

    async fn group_list(
        &self,
        _: Request<rpcpb::GroupListRequest>,
    ) -> Result<Response<rpcpb::GroupListResponse>, Status> {
        Ok(Response::new(rpcpb::GroupListResponse { groups: self.list_groups() }))
    }
}

#[tonic::async_trait]
impl rpcpb::profiles_server::Profiles for Api {
    async fn profile_put(
        &self,
        request: Request<rpcpb::ProfilePutRequest>,
    ) -> Result<Response<rpcpb::ProfilePutResponse>, Status> {
        let profile = request.into_inner().profile.ok_or_else(|| missing("profile"))?;
        let text = profile_file(&profile, self.store.snapshot().compat())?;
        self.put(Kind::Profile, profile.id, text).await?;
        Ok(Response::new(rpcpb::ProfilePutResponse {}))
    }

    async fn profile_get(
        &self,
        request: Request<rpcpb::ProfileGetRequest>,
    ) -> Result<Response<rpcpb::ProfileGetResponse>, Status> {
        let profile = self.get_profile(&request.into_inner().id)?;
        Ok(Response::new(rpcpb::ProfileGetResponse { profile: Some(profile) }))
    }

    async fn profile_delete(
        &self,
        request: Request<rpcpb::ProfileDeleteRequest>,
    ) -> Result<Response<rpcpb::ProfileDeleteResponse>, Status> {
        self.delete(Kind::Profile, request.into_inner().id).await?;
        Ok(Response::new(rpcpb::ProfileDeleteResponse {}))
    }

    async fn profile_list(
        &self,
        _: Request<rpcpb::ProfileListRequest>,
    ) -> Result<Response<rpcpb::ProfileListResponse>, Status> {
        Ok(Response::new(rpcpb::ProfileListResponse { profiles: self.list_profiles() }))
    }
}

#[tonic::async_trait]
impl rpcpb::ignition_server::Ignition for Api {
    async fn ignition_put(
        &self,
        request: Request<rpcpb::IgnitionPutRequest>,
    ) -> Result<Response<rpcpb::IgnitionPutResponse>, Status> {
        let rpcpb::IgnitionPutRequest { name, config } = request.into_inner();
        self.put(Kind::Ignition, name, config).await?;
        Ok(Response::new(rpcpb::IgnitionPutResponse {}))
    }

    async fn ignition_get(
        &self,
        request: Request<rpcpb::IgnitionGetRequest>,
    ) -> Result<Response<rpcpb::IgnitionGetResponse>, Status> {
        let config = self.get_template(Kind::Ignition, &request.into_inner().name)?;
        Ok(Response::new(rpcpb::IgnitionGetResponse { config }))
    }

    async fn ignition_delete(
        &self,
        request: Request<rpcpb::IgnitionDeleteRequest>,
    ) -> Result<Response<rpcpb::IgnitionDeleteResponse>, Status> {
        self.delete(Kind::Ignition, request.into_inner().name).await?;
        Ok(Response::new(rpcpb::IgnitionDeleteResponse {}))
    }
}

#[tonic::async_trait]
impl rpcpb::generic_server::Generic for Api {
    async fn generic_put(
        &self,
        request: Request<rpcpb::GenericPutRequest>,
    ) -> Result<Response<rpcpb::GenericPutResponse>, Status> {
        let rpcpb::GenericPutRequest { name, config } = request.into_inner();
        self.put(Kind::Generic, name, config).await?;
        Ok(Response::new(rpcpb::GenericPutResponse {}))
    }

    async fn generic_get(
        &self,
        request: Request<rpcpb::GenericGetRequest>,
    ) -> Result<Response<rpcpb::GenericGetResponse>, Status> {
        let config = self.get_template(Kind::Generic, &request.into_inner().name)?;
        Ok(Response::new(rpcpb::GenericGetResponse { config }))
    }

    async fn generic_delete(
        &self,
        request: Request<rpcpb::GenericDeleteRequest>,
    ) -> Result<Response<rpcpb::GenericDeleteResponse>, Status> {
        self.delete(Kind::Generic, request.into_inner().name).await?;
        Ok(Response::new(rpcpb::GenericDeleteResponse {}))
    }
}
