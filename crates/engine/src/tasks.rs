//! Tasks: what clients see of the processes that shims run.
