//! Futures that are created where they stay.

use std::pin::Pin;

/// Allocates a box, and creates a future in it.
///
/// `Box::pin(future)` creates the future on the stack and copies it into the box, with the room for all that it may hold later:
/// 22 KB for the driver of a run. The optimiser removes that copy only if the box is allocated first, as here.
#[inline(always)]
pub fn pin_in_place<F: Future>(create: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), create()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn future_in_a_box_has_its_result() {
        let text = "a".to_owned();
        assert_eq!(pin_in_place(|| async move { text + "b" }).await, "ab");
    }
}
