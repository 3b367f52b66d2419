//! The door to all of this: repositories, opened for one transfer.

use crate::hosts::{self, DOCKER, Wanted};
use crate::upstream::{Parts, Position, Upstream};
use async_trait::async_trait;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::registries::{Access, Body, Push, Pushed, Repository, SOURCE};
use model::{Error, Result};
use oci::{Descriptor, Reference};
use std::sync::Arc;

/// All registries that speak the OCI distribution protocol.
pub struct Registries {
    agent: HeaderValue,
}

impl Registries {
    /// Registries that are told this `User-Agent`.
    ///
    /// # Errors
    /// `InvalidArgument` when the text cannot stand in a header.
    pub fn new(agent: &str) -> Result<Self> {
        let agent =
            HeaderValue::from_str(agent).map_err(|_| Error::invalid(format!("user agent {agent:?}")))?;
        Ok(Self { agent })
    }

    fn headers(&self, access: &Access) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, self.agent.clone());
        for (name, value) in &access.registry.headers {
            let wrong = || Error::invalid(format!("header {name:?} of the request"));
            let name: HeaderName = name.parse().map_err(|_| wrong())?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| wrong())?);
        }
        Ok(headers)
    }
}

#[async_trait]
impl model::registries::Registries for Registries {
    async fn open(&self, access: Access) -> Result<Arc<dyn Repository>> {
        let name = access.registry.reference.clone();
        let reference = Reference::parse(&name).map_err(|e| Error::invalid(format!("{e}: {name:?}")))?;
        if reference.repository().is_empty() {
            return Err(Error::invalid(format!(
                "invalid reference: {name:?} names a host and no repository"
            )));
        }
        let headers = self.headers(&access)?;
        let named = reference.host().to_owned();
        let wanted = Wanted {
            name: named.clone(),
            dir: access.registry.host_dir.clone(),
            default_scheme: access.registry.default_scheme.clone(),
        };
        let found = tokio::task::spawn_blocking(move || hosts::load(&wanted)).await;
        let hosts = found.map_err(|e| Error::internal(format!("reading hosts ended early: {e}")))??;
        let last = hosts.len().saturating_sub(1);
        let upstreams = hosts.into_iter().enumerate().map(|(number, host)| {
            Arc::new(Upstream::new(Parts {
                host,
                repository: reference.repository().to_owned(),
                named: named.clone(),
                headers: headers.clone(),
                position: if number == last { Position::Last } else { Position::Before },
                credentials: access.credentials.clone(),
                reference: name.clone(),
            }))
        });
        Ok(Arc::new(Opened { upstreams: upstreams.collect(), reference, name }))
    }
}

/// A repository, opened.
pub(crate) struct Opened {
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) reference: Reference,
    /// The reference as the client wrote it.
    pub(crate) name: String,
}

impl Opened {
    /// The key of the label that names repositories of this registry.
    pub(crate) fn source_key(&self) -> String {
        let host = self.reference.host();
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if !port.contains(']') => bare,
            _ => host,
        };
        format!("{SOURCE}{}", if bare == DOCKER.1 { DOCKER.0 } else { bare })
    }
}

#[async_trait]
impl Repository for Opened {
    fn source(&self) -> (String, String) {
        (self.source_key(), self.reference.repository().to_owned())
    }

    async fn resolve(&self) -> Result<Descriptor> {
        self.find().await
    }

    async fn fetch(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Body>> {
        self.open_content(descriptor, offset).await
    }

    async fn push(&self, push: Push) -> Result<Pushed> {
        self.bring(push).await
    }
}
