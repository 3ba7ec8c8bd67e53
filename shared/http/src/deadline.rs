//! Deadline of a request, where its process has a time limit.

use std::time::Duration;

use hearth_domain::Timestamp;

/// Time by which a request must be answered, in its extensions. Only a function on Lambda has one: it ends some seconds before
/// the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Timestamp);

impl Deadline {
    /// The deadline in an invocation that ends at this time, in milliseconds since 1970.
    #[must_use]
    pub fn before_end(ends_at: u64, margin: Duration) -> Self {
        Self(Timestamp::from_unix(0).plus(Duration::from_millis(ends_at).saturating_sub(margin)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_comes_before_the_end_of_the_invocation() {
        let Deadline(deadline) = Deadline::before_end(1_700_000_010_500, Duration::from_secs(10));
        assert_eq!(deadline.to_string(), "2023-11-14T22:13:20.500Z");
    }
}
