//! The daemon's side of shims against real shims, with real containers.

mod stage;

mod deaths;
mod deletions;
mod groups;
mod life;
mod refusals;
mod reloads;
