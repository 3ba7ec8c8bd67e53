//! Stop texts: a completion ends before any of them, so text that may be the beginning of one is
//! held back until it is known.

/// Watches a stream of text for stop texts.
#[derive(Debug)]
pub(super) struct StopWatch {
    stops: Vec<String>,
    held: String,
}

/// What became of a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// This much can go out.
    Pass(String),
    /// A stop text was met.
    Stopped {
        /// What came before it.
        before: String,
        /// Which one.
        stop: String,
    },
}

impl StopWatch {
    pub(super) fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    pub(super) fn push(&mut self, text: &str) -> Watched {
        self.held.push_str(text);
        let met = self.stops.iter().filter_map(|stop| Some((self.held.find(stop.as_str())?, stop)));
        if let Some((at, stop)) = met.min_by_key(|(at, _)| *at) {
            let stop = stop.clone();
            self.held.truncate(at);
            return Watched::Stopped { before: std::mem::take(&mut self.held), stop };
        }
        let keep = self.longest_beginning();
        let rest = self.held.split_off(self.held.len() - keep);
        Watched::Pass(std::mem::replace(&mut self.held, rest))
    }

    /// What was held back, when the completion ends otherwise.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The length of the longest ending of the held text that begins a stop text.
    fn longest_beginning(&self) -> usize {
        let ends = |stop: &String| {
            let longest = stop.len().saturating_sub(1).min(self.held.len());
            (1..=longest)
                .rev()
                .find(|n| stop.is_char_boundary(*n) && self.held.ends_with(&stop[..*n]))
                .unwrap_or(0)
        };
        self.stops.iter().map(ends).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `pieces` and gives what went out, and at what it stopped.
    fn watch(stops: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let mut watch = StopWatch::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out = String::new();
        for piece in pieces {
            match watch.push(piece) {
                Watched::Pass(text) => out.push_str(&text),
                Watched::Stopped { before, stop } => return (out + &before, Some(stop)),
            }
        }
        (out + &watch.finish(), None)
    }

    /// Stop texts, pieces, what goes out, and at what it stops.
    type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a str, Option<&'a str>);

    #[test]
    fn text_stops_before_the_first_stop_text_however_it_is_cut() {
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
            assert_eq!(watch(stops, pieces), expected, "{stops:?} over {pieces:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_no_stop_text_goes_out(
            pieces in proptest::collection::vec("[abä]{0,3}", 0..12),
            stops in proptest::collection::vec("[abä]{1,3}", 0..3),
        ) {
            let whole = pieces.concat();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let (out, stopped) = watch(&stops, &pieces);
            proptest::prop_assert!(whole.starts_with(&out));
            proptest::prop_assert!(stops.iter().all(|stop| !out.contains(stop)));
            proptest::prop_assert_eq!(stopped.is_some(), stops.iter().any(|stop| whole.contains(stop)));
            if let Some(stop) = stopped {
                proptest::prop_assert!(whole[out.len()..].starts_with(&stop));
            } else { proptest::prop_assert_eq!(out, whole); }
        }
    }
}
