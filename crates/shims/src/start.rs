//! The three ways a shim's binary is called: `start`, `delete` and `-info`.

use crate::bootstrap::{Endpoint, Start};
use crate::bundle::Bundle;
use crate::run::{Errors, Run};
use crate::sealed::Sealed;
use crate::setup::{LogLevel, Setup};
use model::{Any, Error, Kind, Result, tasks::Exit};
use prost::Message as _;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Calls shims' binaries on behalf of one daemon.
#[derive(Debug)]
pub(crate) struct Binaries {
    setup: std::sync::Arc<Setup>,
    /// Binaries that turned out to be older than the message they get on standard input.
    legacy: Mutex<HashSet<PathBuf>>,
    sealed: Sealed,
}

impl Binaries {
    pub(crate) fn new(setup: std::sync::Arc<Setup>) -> Self {
        Self { setup, legacy: Mutex::default(), sealed: Sealed::default() }
    }

    /// Starts a shim, or joins one that serves the task's group already.
    pub(crate) async fn start(&self, start: &Start<'_>, bundle: &Bundle) -> Result<Endpoint> {
        let known = self.legacy.lock().unwrap_or_else(PoisonError::into_inner).contains(start.binary);
        let legacy = known || start.is_legacy();
        let output = match self.run_start(start, bundle, legacy).await {
            Err(e) if !legacy && start.was_misread(e.text().as_bytes()) => {
                let output = self.run_start(start, bundle, true).await?;
                tracing::debug!(binary = %start.binary.display(), "the shim takes its options the old way");
                let binary = start.binary.to_path_buf();
                self.legacy.lock().unwrap_or_else(PoisonError::into_inner).insert(binary);
                output
            }
            output => output?,
        };
        Endpoint::parse(&output)
    }

    async fn run_start(&self, start: &Start<'_>, bundle: &Bundle, legacy: bool) -> Result<Vec<u8>> {
        let mut args = self.args(start.namespace, start.id);
        args.push("start".into());
        let run = Run {
            binary: start.binary,
            sealed: self.sealed.file(start.binary),
            args,
            env: self.env(start.namespace),
            dir: &bundle.path,
            stdin: if legacy { start.legacy() } else { start.params(&self.setup) },
            open_files: self.setup.open_files,
            errors: Errors::Joined,
            limit: self.setup.limits.start,
        };
        let step = kernel::trace::begin();
        let output = run.finish().await?.into_output();
        step.end("daemon.start-shim", start.id);
        output
    }

    /// Has a shim's binary clean up after its dead process: kills the container and unmounts its root.
    pub(crate) async fn delete(&self, task: (&str, &str), binary: &Path, bundle: &Bundle) -> Result<Exit> {
        let (namespace, id) = task;
        let mut args = self.args(namespace, id);
        args.extend(["-bundle".into(), bundle.path.clone().into_os_string(), "delete".into()]);
        let run = Run {
            binary,
            sealed: None,
            args,
            env: self.env(namespace),
            dir: &bundle.path,
            stdin: Vec::new(),
            open_files: self.setup.open_files,
            errors: Errors::Apart,
            limit: self.setup.limits.cleanup,
        };
        let outcome = run.finish().await?;
        if !outcome.stderr.is_empty() {
            let text = String::from_utf8_lossy(&outcome.stderr);
            tracing::warn!(namespace, id, "shim delete: {}", text.trim_end());
        }
        let output = outcome.into_output()?;
        let response = wire::api::task_v3::DeleteResponse::decode(&output[..])
            .map_err(|e| Error::unknown(format!("read the answer of {}: {e}", binary.display())))?;
        Ok(response.into())
    }

    /// What a shim tells about its runtime: a `containerd.types.RuntimeInfo`.
    pub(crate) async fn info(&self, binary: &Path, options: Option<wire::Any>) -> Result<Any> {
        let stdin = options.map(|any| any.encode_to_vec()).unwrap_or_default();
        let run = Run {
            binary,
            sealed: None,
            args: vec!["-info".into()],
            env: Vec::new(),
            dir: Path::new("/"),
            stdin,
            open_files: self.setup.open_files,
            errors: Errors::Apart,
            limit: self.setup.limits.start,
        };
        let value = run.finish().await?.into_output();
        let value = value.map_err(|e| e.with_kind(Kind::Unknown).during("failed to get runtime info"))?;
        Ok(Any { type_url: wire::typeurl::RUNTIME_INFO.to_owned(), value: value.into() })
    }

    fn args(&self, namespace: &str, id: &str) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![
            "-namespace".into(),
            namespace.into(),
            "-address".into(),
            (&self.setup.grpc_address).into(),
            "-publish-binary".into(),
            (&self.setup.executable).into(),
            "-id".into(),
            id.into(),
        ];
        if matches!(self.setup.log_level, LogLevel::Debug | LogLevel::Trace) {
            args.push("-debug".into());
        }
        args
    }

    fn env(&self, namespace: &str) -> Vec<(&str, OsString)> {
        let mut env: Vec<(&str, OsString)> = vec![
            ("GOMAXPROCS", "2".into()),
            ("MAX_SHIM_VERSION", "2".into()),
            ("TTRPC_ADDRESS", (&self.setup.ttrpc_address).into()),
            ("GRPC_ADDRESS", (&self.setup.grpc_address).into()),
            ("NAMESPACE", namespace.into()),
        ];
        env.extend(self.setup.env.iter().map(|(key, value)| (key.as_str(), value.into())));
        env
    }
}
