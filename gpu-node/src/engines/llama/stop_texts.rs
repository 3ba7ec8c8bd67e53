//! Cuts an answer before a stop text. Text that may be the beginning of one is held back.

use super::text::partial_match_len;

/// Finds stop texts in streamed text.
#[derive(Debug)]
pub(super) struct StopTextFilter {
    stops: Vec<String>,
    held: String,
}

/// The result of filtering a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filtered {
    /// Text that can go out.
    Text(String),
    /// A stop text was found, after the text `before`.
    Stopped { before: String, stop: String },
}

impl StopTextFilter {
    pub(super) fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    pub(super) fn push(&mut self, text: &str) -> Filtered {
        self.held.push_str(text);
        let matches = self.stops.iter().filter_map(|stop| Some((self.held.find(stop.as_str())?, stop)));
        if let Some((at, stop)) = matches.min_by_key(|(at, _)| *at) {
            let stop = stop.clone();
            self.held.truncate(at);
            return Filtered::Stopped { before: std::mem::take(&mut self.held), stop };
        }
        let partial = |stop: &String| partial_match_len(&self.held, stop);
        let keep = self.stops.iter().map(partial).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        Filtered::Text(std::mem::replace(&mut self.held, rest))
    }

    /// Returns the held-back text, when the answer has ended otherwise.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters `pieces`. Returns the text that went out, and the stop text that was found.
    fn filter(stops: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let mut filter = StopTextFilter::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out = String::new();
        for piece in pieces {
            match filter.push(piece) {
                Filtered::Text(text) => out.push_str(&text),
                Filtered::Stopped { before, stop } => return (out + &before, Some(stop)),
            }
        }
        (out + &filter.finish(), None)
    }

    /// Stop texts, pieces, the text that goes out, and the stop text that is found.
    type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a str, Option<&'a str>);

    #[test]
    fn answer_ends_before_the_first_stop_text() {
        let cases: &[Case<'_>] = &[
            (&[], &["any", "thing"], "anything", None),
            (&["END"], &["the END."], "the ", Some("END")),
            (&["END"], &["the E", "N", "D."], "the ", Some("END")),
            (&["END"], &["the E", "NOUGH"], "the ENOUGH", None),
            (&["END"], &["the E"], "the E", None),
            (&["b", "abc"], &["xa", "bc"], "x", Some("abc")),
            (&["aab"], &["aa", "ab"], "a", Some("aab")),
            (&["ä!"], &["grün ä", "!"], "grün ", Some("ä!")),
            (&["\n\n"], &["one\n", "two\n", "\nthree"], "one\ntwo", Some("\n\n")),
        ];
        for (stops, pieces, out, stop) in cases {
            let expected = ((*out).to_owned(), stop.map(str::to_owned));
            assert_eq!(filter(stops, pieces), expected, "{stops:?} over {pieces:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn text_is_complete_and_has_no_stop_text(
            pieces in proptest::collection::vec("[abä]{0,3}", 0..12),
            stops in proptest::collection::vec("[abä]{1,3}", 0..3),
        ) {
            let whole = pieces.concat();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let (out, stopped) = filter(&stops, &pieces);
            proptest::prop_assert!(whole.starts_with(&out));
            proptest::prop_assert!(stops.iter().all(|stop| !out.contains(stop)));
            proptest::prop_assert_eq!(stopped.is_some(), stops.iter().any(|stop| whole.contains(stop)));
            if let Some(stop) = stopped {
                proptest::prop_assert!(whole[out.len()..].starts_with(&stop));
            } else { proptest::prop_assert_eq!(out, whole); }
        }
    }
}
