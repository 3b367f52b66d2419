//! Linux made safe: mounts, cgroups, namespaces, pidfd, pty, fifo, loop and netns; all `unsafe` of the project is here.

pub mod cgroup;
