//! The daemon's side of shims against real shims, with real containers.

mod stage;

mod deaths;
mod groups;
mod life;
mod refusals;
mod reloads;
