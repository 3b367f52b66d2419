//! What a daemon says when it starts a shim, and what it is told: in protobuf, or in the older ways.

use std::path::PathBuf;

use model::Result;
use prost::Message;
use wire::Any;
use wire::api::bootstrap::{BootstrapParams, BootstrapResult};
use wire::api::runc::Options;

use crate::address::SOCKET_DIR;
use crate::flags::Flags;
use crate::options;

/// Longest standard input that is read, bytes.
pub const INPUT_BYTES: u64 = 10 << 20;

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A protobuf message (containerd 2.3 and later).
    Protobuf,
    /// A JSON object (containerd 1.7 to 2.2).
    Json,
    /// The bare address (containerd up to 1.6).
    Address,
}

/// The parts of the environment that matter.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `TTRPC_ADDRESS`.
    pub ttrpc_address: Option<String>,
    /// `MAX_SHIM_VERSION`: set by daemons that read JSON.
    pub max_shim_version: Option<String>,
}

impl Environment {
    /// Reads the process's environment.
    pub fn read() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { ttrpc_address: variable("TTRPC_ADDRESS"), max_shim_version: variable("MAX_SHIM_VERSION") }
    }
}

/// What starting a shim needs to know.
#[derive(Clone, Debug)]
pub struct Params {
    /// Id of the container.
    pub id: String,
    /// Namespace.
    pub namespace: String,
    /// The daemon's gRPC address; part of the socket's name.
    pub grpc_address: String,
    /// Where events go; empty is nowhere.
    pub ttrpc_address: String,
    /// Directory of sockets.
    pub socket_dir: PathBuf,
    /// Options of the runtime.
    pub options: Options,
    /// How to answer.
    pub dialect: Dialect,
}

/// Combines command line, environment and standard input.
///
/// An older daemon sends the bare options `Any`, which mostly decodes as [`BootstrapParams`] with nonsense in it;
/// so the message is believed only if it names the same container as the command line.
pub fn read(flags: &Flags, environment: Environment, input: &[u8]) -> Result<Params> {
    let message = BootstrapParams::decode(input).ok().filter(|params| {
        !input.is_empty() && params.instance_id == flags.id && params.namespace == flags.namespace
    });
    let Environment { ttrpc_address, max_shim_version } = environment;
    let ttrpc_address = ttrpc_address.unwrap_or_else(|| derived_ttrpc(&flags.address));
    let mut params = Params {
        id: flags.id.clone(),
        namespace: flags.namespace.clone(),
        grpc_address: flags.address.clone(),
        ttrpc_address,
        socket_dir: SOCKET_DIR.into(),
        options: Options::default(),
        dialect: if max_shim_version.is_some() { Dialect::Json } else { Dialect::Address },
    };
    match message {
        Some(message) => message_into(message, &mut params)?,
        // Whatever else stands there is the business of a runtime we are not.
        None => params.options = legacy_options(input),
    }
    Ok(params)
}

fn legacy_options(input: &[u8]) -> Options {
    let any = Any::decode(input).ok();
    any.and_then(|any| options::parse(Some(&any)).ok()).unwrap_or_default()
}

fn message_into(message: BootstrapParams, params: &mut Params) -> Result<()> {
    params.dialect = Dialect::Protobuf;
    if !message.containerd_grpc_address.is_empty() {
        params.grpc_address = message.containerd_grpc_address;
    }
    if !message.containerd_ttrpc_address.is_empty() {
        params.ttrpc_address = message.containerd_ttrpc_address;
    }
    if let Some(dir) = message.socket_dir.filter(|dir| !dir.is_empty()) {
        params.socket_dir = dir.into();
    }
    let extensions = message.extensions.iter().filter_map(|extension| extension.value.as_ref());
    for any in extensions.filter(|any| any.holds::<Options>()) {
        params.options = options::parse(Some(any))?;
    }
    Ok(())
}

fn derived_ttrpc(grpc_address: &str) -> String {
    if grpc_address.is_empty() { String::new() } else { format!("{grpc_address}.ttrpc") }
}

/// The answer: where the shim listens.
pub fn answer(dialect: Dialect, address: &str) -> Vec<u8> {
    match dialect {
        Dialect::Protobuf => BootstrapResult {
            version: 3,
            address: address.to_owned(),
            protocol: "ttrpc".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        // Version 2 is what all of these daemons know, and we serve it.
        Dialect::Json => format!(r#"{{"version":2,"address":"{address}","protocol":"ttrpc"}}"#).into_bytes(),
        Dialect::Address => address.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use wire::api::bootstrap::Extension;

    use super::*;

    fn flags() -> Flags {
        Flags { id: "c1".into(), namespace: "ns".into(), address: "/run/c.sock".into(), ..Flags::default() }
    }

    fn crun() -> Any {
        Any::pack(&Options { binary_name: "crun".into(), ..Default::default() })
    }

    #[test]
    fn protobuf() {
        let message = BootstrapParams {
            instance_id: "c1".into(),
            namespace: "ns".into(),
            containerd_grpc_address: "/other.sock".into(),
            containerd_ttrpc_address: "/other.ttrpc".into(),
            extensions: vec![Extension { value: Some(crun()) }],
            socket_dir: Some("/s".into()),
            ..Default::default()
        };
        let params = read(&flags(), Environment::default(), &message.encode_to_vec()).expect("params");
        assert_eq!((params.dialect, params.grpc_address.as_str()), (Dialect::Protobuf, "/other.sock"));
        assert_eq!(
            (params.ttrpc_address.as_str(), params.options.binary_name.as_str()),
            ("/other.ttrpc", "crun")
        );
        assert_eq!(params.socket_dir, PathBuf::from("/s"));
    }

    #[test]
    fn the_older_ways() {
        let json = Environment { max_shim_version: Some("2".into()), ttrpc_address: Some("/t".into()) };
        for (environment, input, dialect, ttrpc, program) in [
            (Environment::default(), vec![], Dialect::Address, "/run/c.sock.ttrpc", ""),
            (json.clone(), crun().encode_to_vec(), Dialect::Json, "/t", "crun"),
            (json, vec![0xff, 0xff], Dialect::Json, "/t", ""),
        ] {
            let params = read(&flags(), environment, &input).expect("params");
            assert_eq!(params.dialect, dialect);
            assert_eq!(
                (params.ttrpc_address.as_str(), params.options.binary_name.as_str()),
                (ttrpc, program)
            );
        }
    }

    #[test]
    fn answers() {
        let message = BootstrapResult::decode(&answer(Dialect::Protobuf, "unix:///s")[..]).expect("message");
        assert_eq!(
            (message.version, message.address.as_str(), message.protocol.as_str()),
            (3, "unix:///s", "ttrpc")
        );
        let json = answer(Dialect::Json, "unix:///s");
        assert_eq!(json, br#"{"version":2,"address":"unix:///s","protocol":"ttrpc"}"#);
        assert_eq!(answer(Dialect::Address, "unix:///s"), b"unix:///s");
    }
}
