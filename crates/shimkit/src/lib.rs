//! The shim's side: bootstrap, socket, reaper, stdio and events.
//!
//! A shim is one small process per container or pod. It owns their processes and streams and outlives the daemon. The
//! rule of this crate: one thread, one epoll loop, and nothing in the loop ever waits. What may wait (creating,
//! executing, freezing, removing) runs in a forked child that calls the embedded runtime or runs another one.
//!
//! ```text
//!  calls ──► dispatch ──► requests, queries ──► orders, launch ──► job (forked child) ──► site ──► runtime
//!                                                     ▲                  │ reaped
//!  SIGCHLD ─────────────────────────► exits ──────────┴──────────────────┘
//!  fifos, terminals ─► streams ─► pump                exits, launch, orders ──► events ──► forward ──► daemon
//! ```
//!
//! Who may do what when is decided in `state`, which is pure; so are `flags`, `options`, `bootstrap` and
//! `stdio::target`. Output fifos are handed to the process itself: nothing is copied, and a container goes on
//! talking when its shim is gone.
//!
//! Not here: restoring from a checkpoint, the sandbox service, serving gRPC, a listening socket inherited as
//! descriptor 3, a debug socket.

mod address;
mod bootstrap;
mod checkpoint;
mod container;
mod deletion;
mod dispatch;
mod events;
mod exits;
mod flags;
mod forward;
mod job;
mod launch;
mod log;
mod metrics;
mod oom;
mod options;
mod orders;
mod poller;
mod program;
mod pump;
mod queries;
mod requests;
mod rootfs;
mod serve;
mod shim;
mod site;
mod state;
mod stdio;
mod streams;
mod timers;

pub use serve::main;
