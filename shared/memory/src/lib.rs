//! The allocator of each program that contains this crate, and the return of memory that an idle process doesn't need.
//!
//! mimalloc returns freed memory to the system while it allocates, and each thread holds an empty page for each size of
//! object, of up to 4 MiB. A process that does nothing after a burst would hold all of it. Only the thread that owns a page
//! can release it, so a release is requested of all threads, and each carries it out before it waits for work.

mod ffi;

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use mimalloc::MiMalloc;

/// A request is many small allocations, made in one thread and freed in another: this allocator is faster at that than
/// the system's, and returns more memory. It stands here and not in the command, which `release` doesn't optimise.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Number of releases that were requested.
static REQUESTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The value of [`REQUESTED`] at this thread's last release.
    static RELEASED: Cell<u64> = const { Cell::new(0) };
}

/// Requests a release of unused memory of every thread that calls [`release_if_requested`].
pub fn request_release() {
    REQUESTED.fetch_add(1, Relaxed);
}

/// Releases the calling thread's unused memory, if that was requested since its last release. Takes a nanosecond
/// otherwise: a thread calls it whenever it has no work.
pub fn release_if_requested() {
    let requested = REQUESTED.load(Relaxed);
    if RELEASED.replace(requested) != requested {
        ffi::release_heap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Size of the test's objects: a page of them has 4 MiB.
    const OBJECT_BYTES: usize = 300 << 10;

    /// Allocates and frees `count` objects.
    fn allocate(count: usize) {
        let objects: Vec<Vec<u8>> = (0..count).map(|_| vec![1; OBJECT_BYTES]).collect();
        assert_eq!(objects.iter().map(|object| usize::from(object[7])).sum::<usize>(), count);
    }

    /// Resident memory of this process' heap and stacks, in bytes.
    #[cfg(target_os = "linux")]
    fn resident(field: &str) -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn freed_memory_is_returned_once_per_request() {
        release_if_requested();
        let before = resident("RssAnon:");
        allocate(100);
        release_if_requested();
        let held = resident("RssAnon:");
        assert!(held > before + (8 << 20), "{before} {held}");
        request_release();
        release_if_requested();
        let after = resident("RssAnon:");
        assert!(after < before + (4 << 20), "{before} {held} {after}");
        // Without a further request nothing is released.
        allocate(100);
        release_if_requested();
        assert!(resident("RssAnon:") > before + (8 << 20));
    }
}
