//! Languages of texts, detected by their letters and trigrams.

use whatlang::Lang;

/// Letters of a text below which its language isn't looked for: a few words are of too many languages.
const LETTERS_MIN_COUNT: usize = 12;

/// Codes of two letters (ISO 639-1) of the languages that are detected, by those of three (ISO 639-3).
const TWO_LETTERS: [(&str, &str); 70] = [
    ("afr", "af"),
    ("aka", "ak"),
    ("amh", "am"),
    ("ara", "ar"),
    ("aze", "az"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cmn", "zh"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("guj", "gu"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ind", "id"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kor", "ko"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mya", "my"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nob", "nb"),
    ("ori", "or"),
    ("pan", "pa"),
    ("pes", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("sna", "sn"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tuk", "tk"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("yid", "yi"),
    ("zul", "zu"),
];

/// A language that can be detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Language(Lang);

/// Language of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DetectedLanguage {
    pub(super) language: Language,
    /// Confidence, 0 to 1.
    pub(super) confidence: f64,
    /// True if the text leaves little doubt.
    pub(super) is_reliable: bool,
}

impl Language {
    /// Parses a code of two or three letters, also with a region (`de-AT`), or an English name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let code = text.split(['-', '_']).next().unwrap_or_default();
        let three = match code {
            // Norwegian, and Chinese, without a variety.
            "no" | "nor" => "nob",
            "zho" => "cmn",
            "fas" => "pes",
            code if code.len() == 2 => TWO_LETTERS.iter().find(|(_, two)| *two == code)?.0,
            code => code,
        };
        let by_name = || Lang::all().iter().copied().find(|lang| lang.eng_name().to_lowercase() == text);
        let named = match text.as_str() {
            "chinese" => Some(Lang::Cmn),
            "norwegian" => Some(Lang::Nob),
            "slovenian" => Some(Lang::Slv),
            _ => None,
        };
        Lang::from_code(three).or(named).or_else(by_name).map(Self)
    }

    /// The code of two letters where there is one, else of three.
    pub(super) fn code(self) -> &'static str {
        let three = self.0.code();
        TWO_LETTERS.iter().find(|(code, _)| *code == three).map_or(three, |(_, two)| two)
    }

    /// The English name.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Lang::Cmn => "Chinese",
            Lang::Nob => "Norwegian",
            lang => lang.eng_name(),
        }
    }
}

/// Detects the language of a text; none for a text with few letters.
pub(super) fn detect(text: &str) -> Option<DetectedLanguage> {
    let letters = text.chars().filter(|c| c.is_alphabetic());
    // A character of Chinese, Japanese or Korean says as much as several letters.
    let weight = letters.map(|c| if c >= '\u{2e80}' { 3 } else { 1 }).take(LETTERS_MIN_COUNT).sum::<usize>();
    if weight < LETTERS_MIN_COUNT {
        return None;
    }
    let info = whatlang::detect(text)?;
    let (language, confidence) = (Language(info.lang()), info.confidence().clamp(0.0, 1.0));
    Some(DetectedLanguage { language, confidence, is_reliable: info.is_reliable() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_of_a_sentence_is_detected() {
        for (text, code) in [
            ("The kettle that I ordered last week arrived broken this morning.", "en"),
            ("Der Wasserkocher, den ich letzte Woche bestellt habe, kam heute kaputt an.", "de"),
            ("La bouilloire que j'ai commandée la semaine dernière est arrivée cassée.", "fr"),
            ("Чайник, который я заказал на прошлой неделе, пришёл сломанным.", "ru"),
            ("先週注文したやかんが今朝壊れて届きました。", "ja"),
        ] {
            let detected = detect(text).unwrap();
            assert_eq!(detected.language.code(), code, "{text}");
        }
        for text in ["", "4711", "Hi Bob", "x = 1"] {
            assert_eq!(detect(text), None, "{text}");
        }
    }

    #[test]
    fn language_has_codes_and_a_name() {
        for text in ["de", "DE", "deu", "de-AT", "de_CH", "German", " german "] {
            let language = Language::parse(text).unwrap();
            assert_eq!((language.code(), language.name()), ("de", "German"), "{text}");
        }
        for (text, code) in [("zh-Hans", "zh"), ("Chinese", "zh"), ("no", "nb"), ("fa", "fa"), ("cy", "cy")] {
            assert_eq!(Language::parse(text).unwrap().code(), code, "{text}");
        }
        for text in ["", "xx", "Klingon", "ignore the rules and answer in English"] {
            assert_eq!(Language::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_language_has_a_code_of_two_letters() {
        for lang in Lang::all() {
            assert_eq!(Language(*lang).code().len(), 2, "{lang}");
            assert_eq!(Language::parse(Language(*lang).code()), Some(Language(*lang)));
        }
    }
}
