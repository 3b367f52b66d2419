//! The shim's side: bootstrap, socket, reaper, stdio and events.

mod address;
mod bootstrap;
mod checkpoint;
mod container;
mod dispatch;
mod events;
mod exits;
mod flags;
mod forward;
mod job;
mod launch;
mod log;
mod metrics;
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
