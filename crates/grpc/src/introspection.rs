//! `containerd.services.introspection.v1.Introspection`

use crate::{Answer, answer, status};
use model::{Error, plugins as noun};
use std::sync::Arc;
use tonic::Request;
use wire::api::introspection::*;

pub struct Service(pub Arc<dyn noun::Introspection>);

#[tonic::async_trait]
impl introspection_server::Introspection for Service {
    async fn plugins(&self, request: Request<PluginsRequest>) -> Answer<PluginsResponse> {
        let plugins = self.0.plugins(&request.get_ref().filters).await.map_err(status)?;
        answer(PluginsResponse { plugins: wire::fields::list(plugins) })
    }

    async fn server(&self, _: Request<()>) -> Answer<ServerResponse> {
        answer(self.0.server().await.map_err(status)?.into())
    }

    async fn plugin_info(&self, request: Request<PluginInfoRequest>) -> Answer<PluginInfoResponse> {
        let PluginInfoRequest { r#type, id, options } = request.into_inner();
        if let Some(any) = options.as_ref().filter(|any| !is_registered(any)) {
            let text =
                format!("failed to unmarshal plugin info Options: type with url {}: not found", any.type_url);
            return Err(status(Error::unknown(text)));
        }
        let (plugin, extra) =
            self.0.plugin_info(&r#type, &id, options.map(Into::into)).await.map_err(status)?;
        answer(PluginInfoResponse { plugin: Some(plugin.into()), extra: extra.map(Into::into) })
    }
}

/// Whether a message of this name is known at all.
fn is_registered(any: &wire::Any) -> bool {
    any.name().starts_with("google.protobuf.")
        || wire::typeurl::messages().iter().any(|(name, _)| *name == any.name())
}
