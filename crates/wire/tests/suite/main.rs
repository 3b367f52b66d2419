//! Our messages held against what containerd's own Go packages encode (`compat/golden` writes those files).

mod events;
mod golden;
mod messages;
mod nouns;
