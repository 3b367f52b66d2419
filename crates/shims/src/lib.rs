//! The daemon's side of shims: find, start, connect, reload and own them.
//!
//! A shim is a process of its own that outlives the daemon. The daemon runs its binary once to start it (`start`), talks
//! ttrpc with it over a socket (`connect`, `task`), and runs the binary again to clean up when the process has died
//! (`shim`). What both know of a task lies in its bundle (`bundle`), from which a restarted daemon goes on (`reload`).
//!
//! Every question to a shim has a deadline; only waiting for an exit has none, and ends when the connection does. Shims
//! share no lock that is held while one of them is asked: a stuck one delays nobody else.
//!
//! Not here: which containers there are (the engine's), shims that speak gRPC or listen on vsock (refused as not
//! implemented), mounts that need a mount handler (likewise), restoring checkpoints (likewise), and pids of sandboxes.

mod bootstrap;
mod bundle;
mod connect;
mod create;
mod delete;
mod departed;
mod exits;
mod log;
mod options;
mod reload;
mod resolve;
mod run;
mod sealed;
mod setup;
mod shim;
mod shims;
mod start;
mod strays;
mod table;
mod task;
mod waits;

pub use reload::{Records, Reloaded};
pub use setup::{Limits, LogLevel, Setup};
pub use shims::{Shims, Sink};
