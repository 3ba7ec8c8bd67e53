//! The one call that no safe wrapper offers: mimalloc's collection.

#![expect(unsafe_code, reason = "the call is in this module alone")]

// SAFETY: mimalloc.h declares this function so, and the crate `mimalloc` links it. It takes either value, on any thread.
unsafe extern "C" {
    /// Frees the empty pages of the calling thread's heap, and returns unused memory of all threads to the system; with
    /// `force` also what was freed just now.
    safe fn mi_collect(force: bool);
}

/// Returns the unused memory of the calling thread's heap to the system.
pub(crate) fn release_heap() {
    mi_collect(true);
}
