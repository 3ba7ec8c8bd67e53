//! What a prompt says of what is to be made.

use crate::Modality;

/// Whether the words of a prompt decide what is made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Intent {
    /// They don't: the request says it, or could be answered with nothing but text.
    #[default]
    Settled,
    /// They may: the request leaves it open, and has nothing that only texts have.
    Open,
    /// They did.
    Told {
        /// The words, in small letters.
        words: String,
        /// The model that a rule of the operator's sends such prompts to; none if the words are built in.
        model: Option<String>,
    },
}

/// At how many words a request is told at most.
const LOOKED_AT: usize = 32;
/// What may stand before a request; what begins alike and is longer comes first.
const COURTESIES: [&str; 19] = [
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
/// What asks for a picture by itself.
const DRAW: &str = "draw paint sketch";
/// What asks for a thing that is named.
const MAKE: &str = "make create generate render produce design build show give get";
/// What asks for another form of what is shown.
const TURN: &str = "turn convert transform make";
const ARTICLES: &str = "a an the some one two three four five 2 3 4 5 another";
const PICTURES: &str = "image picture photo photograph drawing painting illustration sketch watercolor watercolour \
                        portrait logo icon poster wallpaper";
/// What stands after `3d`.
const MESHES: &str = "model mesh object asset";
/// What may follow the thing that is named.
const AFTER: &str = "of showing depicting with where in for from out";
/// How many words may stand before the thing that is named.
const ADJECTIVES: usize = 3;
/// Images that nobody looks at, and pictures that are none.
const OTHER_IMAGES: &str = "docker container disk iso vm machine boot system os base data mirror overall clear \
                            clearer big general complete";
/// Languages that pictures are written in, and programs that make some.
const WRITTEN: &str = "ascii svg html css latex tikz mermaid plantuml graphviz markdown python matplotlib \
                       javascript js canvas react openscad blender docker dockerfile podman kubernetes unicode emoji";
/// What is drawn in words; and what asks for words.
const WORDS: &str = "conclusion conclusions comparison parallel parallels distinction inference inferences lesson \
                     lessons line attention plan outline proof solution roadmap architecture algorithm strategy \
                     table chart graph diagram flowchart plot code function script program class write explain \
                     describe summarize summarise translate tell list caption headline who what why how which";

/// What a prompt asks for that isn't text, and the words that ask for it: `draw me a`, `generate an image of`.
/// English, and plain: what could as well be answered in words is none. `shows`: an image goes with the prompt.
#[must_use]
pub fn asked_for(prompt: &str, shows: bool) -> Option<(Modality, String)> {
    let head: Vec<String> = words(prompt).take(LOOKED_AT).collect();
    let mut head: Vec<&str> = head.iter().map(String::as_str).collect();
    while head.pop_if(|word| matches!(*word, "please" | "thanks")).is_some() {}
    let asked = &head[courtesies(&head)..];
    let (modality, length, is_named) =
        named(asked).or_else(|| drawn(asked)).or_else(|| turned(asked, shows))?;
    let has = |list| words(prompt).any(|word| is_in(list, &word));
    let is_text = has(WRITTEN) || (!is_named && has(WORDS));
    (!is_text).then(|| (modality, told(&asked[..length])))
}

/// The words that were looked for; what else the prompt has between them is nobody else's to read.
fn told(words: &[&str]) -> String {
    let known = |word: &&str| {
        let one = word.strip_suffix('s').unwrap_or(word);
        let lists = [DRAW, MAKE, TURN, ARTICLES, PICTURES, MESHES, AFTER, "3d me us this that it into to"];
        lists.iter().any(|list| is_in(list, word) || is_in(list, one))
    };
    let mut told: Vec<&str> = words.iter().map(|word| if known(word) { *word } else { "..." }).collect();
    told.dedup();
    told.join(" ")
}

/// The words of a text, in small letters.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '+' && c != '#');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// How many words stand before the request.
fn courtesies(words: &[&str]) -> usize {
    let mut count = 0;
    let stands = |phrase: &&str, rest: &[&str]| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        rest.starts_with(&phrase).then_some(phrase.len())
    };
    while let Some(length) = COURTESIES.iter().find_map(|phrase| stands(phrase, &words[count..])) {
        count += length;
    }
    count
}

/// What is asked for, how many words say it, and whether it is certain.
type Asked = (Modality, usize, bool);

/// A thing that is named: `make me a small picture of`; without a verb `a picture of`.
fn named(words: &[&str]) -> Option<Asked> {
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

/// The thing that is named from `at` on, behind a few other words, and where it ends.
fn thing(words: &[&str], at: usize) -> Option<(Modality, usize)> {
    let rest = words.get(at..)?;
    for (index, word) in rest.iter().enumerate().take(ADJECTIVES + 1) {
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

/// Whatever can be drawn: `draw me a`.
fn drawn(words: &[&str]) -> Option<Asked> {
    words.first().filter(|word| is_in(DRAW, word))?;
    let whom = usize::from(is_one_of(words.get(1), "me us"));
    let article = usize::from(is_one_of(words.get(1 + whom), ARTICLES));
    let length = 1 + whom + article;
    (length > 1 && words.len() > length).then_some((Modality::Image, length, false))
}

/// Another form of the image that goes with the prompt: `turn this photo into a 3d model`.
fn turned(words: &[&str], shows: bool) -> Option<Asked> {
    words.first().filter(|word| shows && is_in(TURN, word))?;
    let into = words.iter().take(6).position(|word| matches!(*word, "into" | "to"))?;
    let at = into + 1 + usize::from(is_one_of(words.get(into + 1), ARTICLES));
    let (modality, end) = thing(words, at)?;
    words.get(end).is_none_or(|word| is_in(AFTER, word)).then_some((modality, end, true))
}

fn is_one_of(word: Option<&&str>, list: &str) -> bool {
    word.is_some_and(|word| is_in(list, word))
}

/// Whether a word is one of a list's, which has spaces between them.
fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|one| one == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_meshes_are_asked_for_plainly() {
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
            assert_eq!(asked_for(prompt, false), Some((modality, words.to_owned())), "{prompt}");
        }
    }

    #[test]
    fn what_is_shown_may_be_turned_into_something() {
        let asked = |prompt: &str| asked_for(prompt, true).map(|(modality, _)| modality);
        assert_eq!(asked("Turn this photo into a 3D model"), Some(Modality::ThreeD));
        assert_eq!(asked("Convert it to a watercolor painting, please"), Some(Modality::Image));
        for prompt in ["Turn this into a website", "Convert this image to text", "What is in this picture?"] {
            assert_eq!(asked(prompt), None, "{prompt}");
        }
        assert_eq!(asked_for("Turn this photo into a 3D model", false), None);
    }

    #[test]
    fn what_can_be_said_in_words_is_no_picture() {
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
            assert_eq!(asked_for(prompt, false), None, "{prompt}");
        }
    }
}
