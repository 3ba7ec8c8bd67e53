//! Detection of the modality that a prompt asks for.

use serde::{Deserialize, Serialize};

use crate::Modality;

/// Influence of a prompt's words on the modality.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// No: the request names the modality, or allows nothing but text.
    #[default]
    Settled,
    /// Possibly: the request names no modality, and has no parameter that only text has.
    Open,
    /// Yes.
    Inferred {
        /// The words, in lower case.
        words: String,
        /// Model of the operator's rule that matched; `None` if a built-in phrase matched.
        model: Option<String>,
    },
}

/// Maximum number of words to inspect.
const WORDS_MAX_COUNT: usize = 32;
/// Polite phrases before a request. A longer phrase comes before its prefixes.
const POLITE_PHRASES: [&str; 19] = [
    "i would like you to",
    "i d like you to",
    "i want you to",
    "i would like",
    "i d like",
    "i want",
    "i need",
    "can you",
    "could you",
    "would you",
    "will you",
    "please",
    "kindly",
    "hello",
    "hey",
    "hi",
    "ok",
    "okay",
    "now",
];
/// Verbs that ask for a picture by themselves.
const DRAW: &str = "draw paint sketch";
/// Verbs that ask for a named thing.
const MAKE: &str = "make create generate render produce design build show give get";
/// Verbs that convert the input image.
const TURN: &str = "turn convert transform make";
const ARTICLES: &str = "a an the some one two three four five 2 3 4 5 another";
const PICTURES: &str = "image picture photo photograph drawing painting illustration sketch watercolor watercolour \
                        portrait logo icon poster wallpaper";
/// Nouns after `3d`.
const MESHES: &str = "model mesh object asset";
/// Words that may follow the named thing.
const AFTER: &str = "of showing depicting with where in for from out";
/// Maximum number of words between the article and the named thing.
const ADJECTIVES_MAX_COUNT: usize = 3;
/// Words before `image` or `picture` that give it another meaning.
const OTHER_IMAGES: &str = "docker container disk iso vm machine boot system os base data mirror overall clear \
                            clearer big general complete";
/// Languages in which pictures are written, and programs that draw them.
const WRITTEN: &str = "ascii svg html css latex tikz mermaid plantuml graphviz markdown python matplotlib \
                       javascript js canvas react openscad blender docker dockerfile podman kubernetes unicode emoji";
/// Objects that are drawn in words, and words that ask for text.
const WORDS: &str = "conclusion conclusions comparison parallel parallels distinction inference inferences lesson \
                     lessons line attention plan outline proof solution roadmap architecture algorithm strategy \
                     table chart graph diagram flowchart plot code function script program class write explain \
                     describe summarize summarise translate tell list caption headline who what why how which";

/// Detects a prompt for an image or a mesh, and returns the modality and the words that ask for it, such as `draw me
/// a`. Only plain English phrases match; anything that could be answered in text doesn't. `has_image`: an image is
/// attached.
#[must_use]
pub fn detect_modality(prompt: &str, has_image: bool) -> Option<(Modality, String)> {
    let head: Vec<String> = words(prompt).take(WORDS_MAX_COUNT).collect();
    let mut head: Vec<&str> = head.iter().map(String::as_str).collect();
    while head.pop_if(|word| matches!(*word, "please" | "thanks")).is_some() {}
    let request = &head[polite_word_count(&head)..];
    let (modality, length, is_named) =
        named_thing(request).or_else(|| drawing(request)).or_else(|| conversion(request, has_image))?;
    let has = |list| words(prompt).any(|word| is_in(list, &word));
    let is_text = has(WRITTEN) || (!is_named && has(WORDS));
    (!is_text).then(|| (modality, matched_words(&request[..length])))
}

/// Returns the matched words, with `...` in place of the prompt's own words, which are private.
fn matched_words(words: &[&str]) -> String {
    let is_listed = |word: &&str| {
        let one = word.strip_suffix('s').unwrap_or(word);
        let lists = [DRAW, MAKE, TURN, ARTICLES, PICTURES, MESHES, AFTER, "3d me us this that it into to"];
        lists.iter().any(|list| is_in(list, word) || is_in(list, one))
    };
    let mut matched: Vec<&str> =
        words.iter().map(|word| if is_listed(word) { *word } else { "..." }).collect();
    matched.dedup();
    matched.join(" ")
}

/// Returns the words of a text in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '+' && c != '#');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Returns the number of polite words before the request.
fn polite_word_count(words: &[&str]) -> usize {
    let mut count = 0;
    let stands = |phrase: &&str, rest: &[&str]| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        rest.starts_with(&phrase).then_some(phrase.len())
    };
    while let Some(length) = POLITE_PHRASES.iter().find_map(|phrase| stands(phrase, &words[count..])) {
        count += length;
    }
    count
}

/// Modality, number of words that ask for it, and whether they are unambiguous.
type Detected = (Modality, usize, bool);

/// Matches a named thing: `make me a small picture of`; without a verb `a picture of`.
fn named_thing(words: &[&str]) -> Option<Detected> {
    let verb = words.first().is_some_and(|word| is_in(MAKE, word) || is_in(DRAW, word));
    let mut at = usize::from(verb);
    at += usize::from(verb && is_one_of(words.get(at), "me us"));
    let article = is_one_of(words.get(at), ARTICLES);
    at += usize::from(article);
    if !(verb || article && is_one_of(words.first(), "a an")) {
        return None;
    }
    let (modality, end) = thing(words, at)?;
    let follows = words.get(end);
    // Without a verb it may be what is spoken of.
    let fits = if verb { follows.is_none_or(|word| is_in(AFTER, word)) } else { follows == Some(&"of") };
    fits.then(|| (modality, (end + 1).min(words.len()), verb))
}

/// Finds the named thing from the word `at`, after a few other words, and returns its end.
fn thing(words: &[&str], at: usize) -> Option<(Modality, usize)> {
    let rest = words.get(at..)?;
    for (index, word) in rest.iter().enumerate().take(ADJECTIVES_MAX_COUNT + 1) {
        if *word == "3d" && is_one_of(rest.get(index + 1), MESHES) {
            return Some((Modality::ThreeD, at + index + 2));
        }
        if is_in(PICTURES, word) || word.strip_suffix('s').is_some_and(|one| is_in(PICTURES, one)) {
            // The last of several: an icon image.
            let end = at + index + 1;
            return Some(
                thing(words, end).filter(|(_, next)| *next == end + 1).unwrap_or((Modality::Image, end)),
            );
        }
        if is_in(AFTER, word) || is_in(OTHER_IMAGES, word) {
            return None;
        }
    }
    None
}

/// Matches a verb of drawing: `draw me a`.
fn drawing(words: &[&str]) -> Option<Detected> {
    words.first().filter(|word| is_in(DRAW, word))?;
    let whom = usize::from(is_one_of(words.get(1), "me us"));
    let article = usize::from(is_one_of(words.get(1 + whom), ARTICLES));
    let length = 1 + whom + article;
    (length > 1 && words.len() > length).then_some((Modality::Image, length, false))
}

/// Matches a conversion of the attached image: `turn this photo into a 3d model`.
fn conversion(words: &[&str], has_image: bool) -> Option<Detected> {
    words.first().filter(|word| has_image && is_in(TURN, word))?;
    let into = words.iter().take(6).position(|word| matches!(*word, "into" | "to"))?;
    let at = into + 1 + usize::from(is_one_of(words.get(into + 1), ARTICLES));
    let (modality, end) = thing(words, at)?;
    words.get(end).is_none_or(|word| is_in(AFTER, word)).then_some((modality, end, true))
}

fn is_one_of(word: Option<&&str>, list: &str) -> bool {
    word.is_some_and(|word| is_in(list, word))
}

/// Returns whether a space-separated list contains a word.
fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|one| one == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_phrases_ask_for_images_and_meshes() {
        let cases = [
            ("Draw me a fox", Modality::Image, "draw me a"),
            ("Hi! Could you please draw a fox in the snow?", Modality::Image, "draw a"),
            ("sketch two foxes", Modality::Image, "sketch two"),
            ("Generate an image of a man who writes code", Modality::Image, "generate an image of"),
            (
                "Create a photorealistic picture showing a fox",
                Modality::Image,
                "create a ... picture showing",
            ),
            ("make me some pictures of foxes", Modality::Image, "make me some pictures of"),
            ("Design a logo for my bakery.", Modality::Image, "design a logo for"),
            ("I'd like a watercolor painting of a fox", Modality::Image, "a watercolor painting of"),
            ("a photo of a fox", Modality::Image, "a photo of"),
            ("Generate an image", Modality::Image, "generate an image"),
            ("generate an image of a 3D model", Modality::Image, "generate an image of"),
            ("Make a 3D model of a chair", Modality::ThreeD, "make a 3d model of"),
            ("a low poly 3d mesh of a chair", Modality::ThreeD, "a ... 3d mesh of"),
            ("please create a 3d object from this picture", Modality::ThreeD, "create a 3d object from"),
        ];
        for (prompt, modality, words) in cases {
            assert_eq!(detect_modality(prompt, false), Some((modality, words.to_owned())), "{prompt}");
        }
    }

    #[test]
    fn an_attached_image_can_be_converted() {
        let detected = |prompt: &str| detect_modality(prompt, true).map(|(modality, _)| modality);
        assert_eq!(detected("Turn this photo into a 3D model"), Some(Modality::ThreeD));
        assert_eq!(detected("Convert it to a watercolor painting, please"), Some(Modality::Image));
        for prompt in ["Turn this into a website", "Convert this image to text", "What is in this picture?"] {
            assert_eq!(detected(prompt), None, "{prompt}");
        }
        assert_eq!(detect_modality("Turn this photo into a 3D model", false), None);
    }

    #[test]
    fn other_prompts_ask_for_text() {
        for prompt in [
            "",
            "Draw",
            "draw me",
            "Draw a conclusion from these numbers",
            "Draw a flowchart of a login",
            "Draw an ASCII fox",
            "draw a fox as SVG",
            "Draw a fox and explain how it hunts",
            "How do I draw a circle?",
            "Sketch a proof of the theorem",
            "Create a docker image of this app",
            "Make an image for my Dockerfile",
            "create a disk image with dd",
            "Write a poem about a picture of a fox",
            "Create an image processing pipeline",
            "Give me an overall picture of the market",
            "The Picture of Dorian Gray",
            "A picture of Dorian Gray: who wrote it?",
            "Describe an image of a fox",
            "Make a data model of a shop",
            "create a 3d model in OpenSCAD",
            "What is a 3d model of a chair worth?",
            "Make a list of photo shops",
        ] {
            assert_eq!(detect_modality(prompt, false), None, "{prompt}");
        }
    }
}
