//! Telling the service supervisor how far the daemon is (sd_notify(3)).

use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType, sendto, socket};

/// Sends a state (`READY=1`) to the supervisor, if there is one. Nobody listening is no error.
pub fn notify(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = path.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None => SocketAddrUnix::new(bytes),
    };
    let sent = address.and_then(|address| {
        let socket = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
        sendto(&socket, state.as_bytes(), SendFlags::NOSIGNAL, &address)
    });
    if let Err(e) = sent {
        tracing::warn!(error = %e, state, "the service supervisor could not be notified");
    }
}
