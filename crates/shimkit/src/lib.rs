//! The shim's side: bootstrap, socket, reaper, stdio and events.

mod address;
mod bootstrap;
mod flags;
mod forward;
mod log;
mod options;
mod poller;
mod pump;
mod state;
mod stdio;
mod timers;
