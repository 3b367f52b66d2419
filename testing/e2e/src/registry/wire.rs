//! A wire between a client and a registry: it counts what comes back, and stands still on demand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Result, ensure};

use crate::program::DEADLINE;

/// The state all connections share.
#[derive(Debug, Default)]
struct State {
    /// Bytes that came back so far.
    carried: usize,
    /// Each connection carries no more than this.
    limit: Option<usize>,
    /// Connections made so far.
    connections: usize,
    /// A connection stands at the limit.
    stands: bool,
    ends: bool,
}

/// A running wire.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Wire {
    /// Carries connections to an address.
    pub fn to(address: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let wire = Self { port: listener.local_addr()?.port(), shared: Arc::default() };
        let (shared, address) = (wire.shared.clone(), address.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
                if state.ends {
                    return;
                }
                state.connections += 1;
                drop(state);
                shared.1.notify_all();
                let (shared, address) = (shared.clone(), address.clone());
                std::thread::spawn(move || carry(client, &address, &shared).ok());
            }
        });
        Ok(wire)
    }

    /// `127.0.0.1:<port>`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Bytes that came back so far.
    pub fn carried(&self) -> usize {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).carried
    }

    /// A connection stands still once this many bytes came back by it, so that only what is larger stops half way; `None`
    /// lets everything through again.
    pub fn limit(&self, bytes: Option<usize>) {
        let mut state = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.limit, state.stands) = (bytes, false);
        self.shared.1.notify_all();
    }

    /// Waits until a connection stands still.
    pub fn wait_until_it_stands(&self) -> Result<()> {
        self.wait(|state| state.stands)
    }

    /// Connections made so far.
    pub fn connections(&self) -> usize {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).connections
    }

    /// Waits until so many connections were made.
    pub fn wait_for_connections(&self, number: usize) -> Result<()> {
        self.wait(|state| state.connections >= number)
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> Result<()> {
        let state = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.1.wait_timeout_while(state, DEADLINE, |state| !until(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(!timeout.timed_out(), "not within {DEADLINE:?}: {state:?}");
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner).ends = true;
        self.shared.1.notify_all();
        // One more connection, so that the thread looks.
        let _ = TcpStream::connect(self.address());
    }
}

fn carry(client: TcpStream, address: &str, shared: &(Mutex<State>, Condvar)) -> Result<()> {
    let server = TcpStream::connect(address)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let mut buffer = [0; 16 << 10];
    let mut carried = 0;
    loop {
        let room = wait_for_room(shared, carried, buffer.len());
        let length = from.read(&mut buffer[..room])?;
        if length == 0 {
            break;
        }
        carried += length;
        shared.0.lock().unwrap_or_else(PoisonError::into_inner).carried += length;
        to.write_all(&buffer[..length])?;
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
    Ok(())
}

/// How many bytes a connection may carry now; waits until it is one at least.
fn wait_for_room((state, changed): &(Mutex<State>, Condvar), carried: usize, most: usize) -> usize {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let room = state.limit.map_or(most, |limit| limit.saturating_sub(carried).min(most));
        if room > 0 || state.ends {
            return room.max(1);
        }
        state.stands = true;
        changed.notify_all();
        state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}
