//! What a shim is told when it starts, and where it then listens.

use crate::setup::{LogLevel, Setup};
use model::{Any, Error, Result};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::path::Path;
use wire::api::bootstrap::{BootstrapParams, BootstrapResult, Extension, LogLevel as WireLevel};

/// The newest version of the task API.
pub(crate) const NEWEST: u32 = 3;

/// Where a shim listens; `bootstrap.json` in a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoint {
    /// The version of the task API.
    pub(crate) version: u32,
    /// The socket's address.
    pub(crate) address: String,
    /// `ttrpc` or `grpc`.
    pub(crate) protocol: String,
}

impl Endpoint {
    /// Reads what a shim's `start` printed: a message, else JSON of version 2 or later, else a bare address.
    pub(crate) fn parse(output: &[u8]) -> Result<Self> {
        let endpoint = match BootstrapResult::decode(output) {
            Ok(result) if output.is_empty() || !result.address.is_empty() => Self {
                version: u32::try_from(result.version).unwrap_or_default(),
                address: result.address,
                protocol: result.protocol,
            },
            _ => Self::from_text(&String::from_utf8_lossy(output)),
        };
        endpoint.check()
    }

    /// Reads JSON of version 2 or later, else a bare address: also what lies in bundles.
    pub(crate) fn from_text(text: &str) -> Self {
        let text = text.trim();
        match serde_json::from_str::<Self>(text) {
            Ok(endpoint) if endpoint.version >= 2 => endpoint,
            _ => Self { version: 2, address: text.to_owned(), protocol: "ttrpc".to_owned() },
        }
    }

    /// Reads the address in a request for a task in a sandbox: `<protocol>+<address>`.
    pub(crate) fn from_request(address: &str, version: u32) -> Result<Self> {
        let (protocol, address) = address
            .split_once('+')
            .ok_or_else(|| Error::invalid(format!("task api address {address:?}: no protocol")))?;
        Self { version, address: address.to_owned(), protocol: protocol.to_owned() }.check()
    }

    fn check(self) -> Result<Self> {
        if self.version > NEWEST {
            return Err(Error::not_implemented(format!("unsupported shim version ({})", self.version)));
        }
        match self.protocol.to_ascii_lowercase().as_str() {
            "ttrpc" => Ok(self),
            "grpc" => Err(Error::not_implemented("shim protocol \"grpc\"")),
            _ => Err(Error::unknown(format!("unexpected protocol: {:?}", self.protocol))),
        }
    }

    /// The file's content.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings are JSON")
    }
}

/// Which shim is to be started for what.
pub(crate) struct Start<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) namespace: &'a str,
    pub(crate) id: &'a str,
    pub(crate) options: Option<&'a Any>,
}

impl Start<'_> {
    /// Whether the shim is older than the message and takes the options alone.
    pub(crate) fn is_legacy(&self) -> bool {
        let name = self.binary.file_name().unwrap_or_default().to_string_lossy();
        name.contains("shim-runc-v1") || name.contains("shim-runhcs-v1")
    }

    /// The message for the shim's standard input.
    pub(crate) fn params(&self, setup: &Setup) -> Vec<u8> {
        let extension = |any: &Any| Extension { value: Some(any.clone().into()) };
        BootstrapParams {
            instance_id: self.id.to_owned(),
            namespace: self.namespace.to_owned(),
            log_level: wire_level(setup.log_level) as i32,
            containerd_version: setup.version.clone(),
            containerd_ttrpc_address: setup.ttrpc_address.clone(),
            containerd_grpc_address: setup.grpc_address.clone(),
            containerd_binary: setup.executable.display().to_string(),
            extensions: self.options.map(extension).into_iter().collect(),
            socket_dir: setup.socket_dir.clone(),
        }
        .encode_to_vec()
    }

    /// The standard input of shims that know no such message: the options or nothing.
    pub(crate) fn legacy(&self) -> Vec<u8> {
        self.options.map(|any| wire::Any::from(any.clone()).encode_to_vec()).unwrap_or_default()
    }

    /// Whether an older shim took the message for options of an unknown type: it then names our id as the type.
    pub(crate) fn was_misread(&self, output: &[u8]) -> bool {
        String::from_utf8_lossy(output).contains(&format!("type with url {}: not found", self.id))
    }
}

fn wire_level(level: LogLevel) -> WireLevel {
    match level {
        LogLevel::Trace => WireLevel::Trace,
        LogLevel::Debug => WireLevel::Debug,
        LogLevel::Info => WireLevel::Info,
        LogLevel::Warn => WireLevel::Warn,
        LogLevel::Error => WireLevel::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(version: u32, address: &str) -> Endpoint {
        Endpoint { version, address: address.to_owned(), protocol: "ttrpc".to_owned() }
    }

    #[test]
    fn outputs() {
        let message = BootstrapResult {
            version: 3,
            address: "unix:///s".to_owned(),
            protocol: "ttrpc".to_owned(),
            ..Default::default()
        };
        for (output, expected) in [
            (message.encode_to_vec(), endpoint(3, "unix:///s")),
            (
                b" {\"version\":2,\"address\":\"unix:///j\",\"protocol\":\"ttrpc\"}\n".to_vec(),
                endpoint(2, "unix:///j"),
            ),
            (b"unix:///run/containerd/s/abc\n".to_vec(), endpoint(2, "unix:///run/containerd/s/abc")),
            (b"/containerd-shim/ns/id/shim.sock".to_vec(), endpoint(2, "/containerd-shim/ns/id/shim.sock")),
        ] {
            assert_eq!(Endpoint::parse(&output).expect("endpoint"), expected);
        }
    }

    #[test]
    fn refusals() {
        for (output, text) in [
            (&b""[..], "unexpected protocol: \"\""),
            (
                br#"{"version":9,"address":"a","protocol":"ttrpc"}"#,
                "unsupported shim version (9): not implemented",
            ),
            (br#"{"version":3,"address":"a","protocol":"grpc"}"#, "shim protocol \"grpc\": not implemented"),
        ] {
            assert_eq!(Endpoint::parse(output).expect_err(text).text(), text);
        }
    }

    #[test]
    fn files_both_ways() {
        let endpoint = endpoint(3, "unix:///s");
        assert_eq!(Endpoint::from_text(&endpoint.to_json()), endpoint);
        assert_eq!(endpoint.to_json(), r#"{"version":3,"address":"unix:///s","protocol":"ttrpc"}"#);
        assert_eq!(Endpoint::from_request("ttrpc+unix:///s", 3).expect("address"), endpoint);
        assert!(Endpoint::from_request("unix:///s", 3).is_err());
    }
}
