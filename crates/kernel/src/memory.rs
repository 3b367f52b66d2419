//! What the allocator may keep.

/// Limits how many pools of memory glibc's allocator makes for its threads (mallopt(3), `M_ARENA_MAX`). Each keeps what
/// it was once asked for, so a daemon with many short-lived threads wants few. To be called before the first thread.
/// False when the allocator does not take it.
#[must_use]
pub fn limit_arenas(count: i32) -> bool {
    // SAFETY: mallopt takes two integers and touches only the allocator's own parameters.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, count) == 1 }
}

/// Has the allocator map every block of at least `bytes` by itself, so that it goes back to the kernel when it is freed
/// (mallopt(3), `M_MMAP_THRESHOLD`). Otherwise glibc raises the limit with each large block that is freed. To be called
/// before the first thread. False when the allocator does not take it.
#[must_use]
pub fn map_blocks_from(bytes: i32) -> bool {
    // SAFETY: mallopt takes two integers and touches only the allocator's own parameters.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) == 1 }
}

/// Gives back to the kernel what the allocator holds and nobody uses (malloc_trim(3)).
pub fn trim() {
    // SAFETY: takes an integer; the allocator locks its pools itself.
    unsafe { libc::malloc_trim(0) };
}
