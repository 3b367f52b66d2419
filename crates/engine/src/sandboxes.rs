//! Sandboxes: the records of groups of containers.
