//! What the allocator may keep.

/// Limits how many pools of memory glibc's allocator makes for its threads (mallopt(3), `M_ARENA_MAX`). Each keeps what
/// it was once asked for, so a daemon with many short-lived threads wants few. To be called before the first thread.
/// False when the allocator does not take it.
#[must_use]
pub fn limit_arenas(count: i32) -> bool {
    // SAFETY: mallopt takes two integers and touches only the allocator's own parameters.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, count) == 1 }
}
