//! Made-up words such as `kudo`: two syllables, each a consonant and a vowel. The generated model has a
//! token for each of them, so a prompt has as many tokens as words.

use crate::random::Random;

const CONSONANTS: &[u8; 21] = b"bcdfghjklmnpqrstvwxyz";
const VOWELS: &[u8; 5] = b"aeiou";

pub(crate) const SYLLABLES: usize = CONSONANTS.len() * VOWELS.len();
pub(crate) const WORDS: usize = SYLLABLES * SYLLABLES;

/// The syllable of this number, below [`SYLLABLES`].
pub(crate) fn syllable(number: usize) -> String {
    let (consonant, vowel) = (CONSONANTS[number / VOWELS.len()], VOWELS[number % VOWELS.len()]);
    [char::from(consonant), char::from(vowel)].iter().collect()
}

/// The word of this number, below [`WORDS`].
pub(crate) fn word(number: usize) -> String {
    syllable(number / SYLLABLES) + &syllable(number % SYLLABLES)
}

/// So many words, with a space between each two.
pub(crate) fn text(random: &mut Random, words: usize) -> String {
    let words: Vec<String> = (0..words).map(|_| word(random.below(WORDS as u64) as usize)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_word_of_its_own() {
        let all: std::collections::HashSet<String> = (0..WORDS).map(word).collect();
        assert_eq!(all.len(), WORDS);
        assert!(all.iter().all(|word| word.len() == 4));
    }

    #[test]
    fn text_has_the_requested_words_and_repeats_with_its_seed() {
        let text = |seed| text(&mut Random::new(seed), 12);
        assert_eq!(text(1).split(' ').count(), 12);
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
