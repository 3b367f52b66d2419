//! What the daemon tells about itself, over gRPC: introspection and the version.

use crate::connect::answer;
use crate::{Client, stub};
use async_trait::async_trait;
use model::plugins::{Introspection, Plugin, Server};
use model::{Any, Result};
use wire::api::introspection::{PluginInfoRequest, PluginsRequest};
use wire::fields::{list, required};

#[async_trait]
impl Introspection for Client {
    async fn plugins(&self, filters: &[String]) -> Result<Vec<Plugin>> {
        let request = PluginsRequest { filters: filters.to_vec() };
        let mut stub = stub!(self, introspection::introspection_client::IntrospectionClient);
        Ok(list(answer(stub.plugins(request).await)?.plugins))
    }

    async fn server(&self) -> Result<Server> {
        let mut stub = stub!(self, introspection::introspection_client::IntrospectionClient);
        Ok(answer(stub.server(()).await)?.into())
    }

    async fn plugin_info(&self, kind: &str, id: &str, options: Option<Any>) -> Result<(Plugin, Option<Any>)> {
        let request =
            PluginInfoRequest { r#type: kind.into(), id: id.into(), options: options.map(Into::into) };
        let mut stub = stub!(self, introspection::introspection_client::IntrospectionClient);
        let found = answer(stub.plugin_info(request).await)?;
        Ok((required(found.plugin, "plugin")?.into(), found.extra.map(Into::into)))
    }

    async fn version(&self) -> Result<(String, String)> {
        let found = answer(stub!(self, version::version_client::VersionClient).version(()).await)?;
        Ok((found.version, found.revision))
    }
}
