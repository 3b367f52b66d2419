//! Introspection across the wire.

use model::plugins::{Deprecation, Plugin, Server};

use crate::api::introspection::{self, DeprecationWarning, ServerResponse};
use crate::api::rpc;
use crate::fields::{list, time, wire_time};
use crate::status;

impl From<introspection::Plugin> for Plugin {
    fn from(wire: introspection::Plugin) -> Self {
        Self {
            kind: wire.r#type,
            id: wire.id,
            requires: wire.requires,
            platforms: list(wire.platforms),
            exports: wire.exports,
            capabilities: wire.capabilities,
            error: wire.init_err.map(status::from_rpc),
        }
    }
}

/// Why a plugin is not there is told without a class, as clients have always seen it.
impl From<Plugin> for introspection::Plugin {
    fn from(plugin: Plugin) -> Self {
        let code = ttrpc::Code::Unknown as i32;
        let init_err = plugin.error.map(|error| rpc::Status { code, ..status::to_rpc(&error) });
        Self {
            r#type: plugin.kind,
            id: plugin.id,
            requires: plugin.requires,
            platforms: list(plugin.platforms),
            exports: plugin.exports,
            capabilities: plugin.capabilities,
            init_err,
        }
    }
}

impl From<DeprecationWarning> for Deprecation {
    fn from(wire: DeprecationWarning) -> Self {
        Self { id: wire.id, message: wire.message, last_occurrence: time(wire.last_occurrence) }
    }
}

impl From<Deprecation> for DeprecationWarning {
    fn from(deprecation: Deprecation) -> Self {
        Self {
            id: deprecation.id,
            message: deprecation.message,
            last_occurrence: wire_time(deprecation.last_occurrence),
        }
    }
}

impl From<ServerResponse> for Server {
    fn from(wire: ServerResponse) -> Self {
        Self { uuid: wire.uuid, pid: wire.pid, pidns: wire.pidns, deprecations: list(wire.deprecations) }
    }
}

impl From<Server> for ServerResponse {
    fn from(server: Server) -> Self {
        Self {
            uuid: server.uuid,
            pid: server.pid,
            pidns: server.pidns,
            deprecations: list(server.deprecations),
        }
    }
}
