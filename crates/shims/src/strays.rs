//! Shims whose bundle somebody has removed, or has emptied, while no daemon was there.
//!
//! Such a shim runs on with its container, known to nobody, and holds its name. It is found by its socket: both our
//! shim and containerd's listen where daemon, namespace and id have them listen. It is taken in again with as much of a
//! bundle as is needed, so that the container is listed, and deleted like any other.
//!
//! It must say itself that its bundle is the one that is missing: a shim that has been started by a daemon with another
//! root or state is not ours, whatever its socket is called. One that serves a group is found by the id that names the
//! group.

use crate::bootstrap::{Endpoint, NEWEST};
use crate::bundle::{self, Bundle};
use crate::connect::{Failure, is_unheard};
use crate::reload::{PATIENCE, ask};
use crate::shims::{Inner, blocking};
use model::{ContainerId, Namespace, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Where shims make their sockets when they are not told.
const SOCKETS: &str = "/run/containerd/s";

/// The runtime of a container without a record.
const RUNTIME: &str = "io.containerd.runc.v2";

impl Inner {
    /// Makes a bundle's directory again where a shim may serve without one: then the bundle is looked at like others.
    /// To be called off the event loop.
    pub(crate) fn mend_bundles(&self, works: &[(Namespace, ContainerId)]) {
        for (namespace, id) in works {
            let bundle = self.bundle(namespace, id);
            if bundle.path.exists() || !self.socket_paths(namespace, id).iter().any(|path| path.exists()) {
                continue;
            }
            if let Err(error) = bundle.make_empty() {
                let task = format!("{namespace}/{id}");
                tracing::error!(task, %error, "a shim without a bundle is not looked for");
            }
        }
    }

    /// Where the shim listens whose bundle does not say so; `None` when there is none.
    ///
    /// # Errors
    /// Somebody serves there who cannot be asked.
    pub(crate) async fn find_stray(
        &self,
        (namespace, id): (&Namespace, &ContainerId),
        bundle: &Bundle,
    ) -> Result<Option<Endpoint>> {
        for path in self.socket_paths(namespace, id) {
            let endpoint = served_at(&path);
            let channel = match self.reach(namespace, &endpoint).await {
                Ok(channel) => channel,
                Err(error) if is_unheard(&error) => continue,
                Err(error) => return Err(error),
            };
            match ask(&channel, id, PATIENCE.min(self.setup.limits.load)).await {
                Ok(state) if Path::new(&state.bundle) == bundle.path => return Ok(Some(endpoint)),
                Ok(state) => {
                    let task = format!("{namespace}/{id}");
                    tracing::warn!(
                        task,
                        bundle = state.bundle,
                        "another daemon's shim has this one's address"
                    );
                }
                Err(Failure::Closed) => {}
                // Creating it was interrupted before there was a container.
                Err(Failure::Refused(e)) if e.is_not_found() => {}
                Err(Failure::Refused(e)) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Gives a shim that was found a bundle again, from which the next daemon goes on as well.
    pub(crate) async fn mend(
        &self,
        bundle: &Bundle,
        endpoint: &Endpoint,
        runtime: Option<String>,
    ) -> Result<PathBuf> {
        let binary = self.resolver.resolve(runtime.as_deref().unwrap_or(RUNTIME))?;
        let (of, endpoint, path) = (bundle.clone(), endpoint.clone(), binary.display().to_string());
        blocking(move || {
            of.mend()?;
            of.write(bundle::BINARY, path.as_bytes(), 0o600)?;
            of.note(&endpoint)
        })
        .await?;
        tracing::warn!(bundle = %bundle.path.display(), "a shim without a bundle is taken in again");
        Ok(binary)
    }

    /// Where a task's shim is going to listen, unless it is an older one or serves a group.
    pub(crate) fn expected_endpoint(&self, namespace: &str, id: &str) -> Option<Endpoint> {
        self.socket_paths(namespace, id).first().map(|path| served_at(path))
    }

    /// Where a task's shim may listen: where we have it listen, and where older ones do whatever they are told.
    fn socket_paths(&self, namespace: &str, id: &str) -> Vec<PathBuf> {
        let name = socket_name(&self.setup.grpc_address, namespace, id);
        let told = self.setup.socket_dir.as_deref().filter(|dir| !dir.is_empty() && *dir != SOCKETS);
        told.into_iter().chain([SOCKETS]).map(|dir| Path::new(dir).join(&name)).collect()
    }
}

fn served_at(path: &Path) -> Endpoint {
    Endpoint { version: NEWEST, address: format!("unix://{}", path.display()), protocol: "ttrpc".to_owned() }
}

/// The name of a shim's socket: a hash of the daemon's address, the namespace and the id, as of one path.
fn socket_name(daemon: &str, namespace: &str, id: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in daemon.split('/').chain([namespace, id]) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let root = if daemon.starts_with('/') { "/" } else { "" };
    let digest = Sha256::digest(format!("{root}{}", parts.join("/")));
    digest.iter().fold(String::new(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_called_as_shims_call_them() {
        // printf /run/containerd/containerd.sock/default/x | sha256sum
        let hash = "5e250b13f984a15f73216d143af1bf3c64171aa56c781ba9d4040c75b2c1eee2";
        for daemon in ["/run/containerd/containerd.sock", "/run//containerd/./x/../containerd.sock"] {
            assert_eq!(socket_name(daemon, "default", "x"), hash);
        }
    }
}
