//! The daemon's side of shims against real shims, with real containers.

mod stage;

mod deaths;
mod life;
mod refusals;
mod reloads;
