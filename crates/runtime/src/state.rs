//! The state directory of a container.
