//! The operator's rules: where a request goes that names no model.

use hearth_domain::{Generation, Role, Task, intent::words};

use super::needs::Needs;
use crate::routing::Rule;

/// The first rule that fits, and the word that it was found by.
pub(super) fn first<'a>(
    rules: &'a [Rule],
    generation: &Generation,
    needs: &Needs,
) -> Option<(&'a Rule, Option<&'a str>)> {
    let prompt: Vec<String> = words(prompt(generation)).collect();
    rules.iter().find_map(|rule| {
        let fits = rule.modality.is_none_or(|modality| modality == needs.modality)
            && rule.images.is_none_or(|images| images == needs.images)
            && rule.mesh.is_none_or(|mesh| mesh == needs.mesh)
            && rule.tools.is_none_or(|tools| tools == needs.tools);
        if !fits {
            return None;
        }
        if rule.words.is_empty() {
            return Some((rule, None));
        }
        let held = |phrase: &&String| holds(&prompt, &words(phrase).collect::<Vec<_>>());
        rule.words.iter().find(held).map(|word| (rule, Some(word.as_str())))
    })
}

/// What the user said last.
fn prompt(generation: &Generation) -> &str {
    match &generation.task {
        Task::Text(task) => {
            let last = task.messages.iter().rev().find(|message| message.role == Role::User);
            last.map_or("", |message| &message.content)
        }
        Task::Image(task) => &task.prompt,
        Task::Mesh(task) => task.prompt.as_deref().unwrap_or_default(),
        Task::Embedding(_) => "",
    }
}

fn holds(text: &[String], phrase: &[String]) -> bool {
    !phrase.is_empty() && text.windows(phrase.len()).any(|window| window == phrase)
}

#[cfg(test)]
mod tests {
    use hearth_domain::{Message, Sampling, TextTask};

    use super::*;

    fn rule(model: &str, words: &[&str]) -> Rule {
        Rule {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            model: model.to_owned(),
            ..Rule::default()
        }
    }

    fn chosen(rules: &[Rule], said: &str) -> Option<(String, Option<String>)> {
        let messages = vec![Message::new(Role::User, "some code"), Message::new(Role::User, said)];
        let generation = Generation::new(None, TextTask::new(messages, Sampling::default()));
        let found = first(rules, &generation, &Needs::of(&generation));
        found.map(|(rule, word)| (rule.model.clone(), word.map(str::to_owned)))
    }

    #[test]
    fn the_first_rule_whose_word_is_in_the_last_prompt_is_taken() {
        let rules = [
            Rule { tools: Some(true), ..rule("tools", &[]) },
            rule("coder", &["code", "C++", "write a function"]),
            rule("all", &[]),
        ];
        let with = |model: &str, word: Option<&str>| Some((model.to_owned(), word.map(str::to_owned)));
        assert_eq!(chosen(&rules, "Fix this CODE, please"), with("coder", Some("code")));
        assert_eq!(chosen(&rules, "is c++ old?"), with("coder", Some("C++")));
        assert_eq!(chosen(&rules, "Write a\nfunction!"), with("coder", Some("write a function")));
        // Neither a part of a word, nor what was said before.
        assert_eq!(chosen(&rules, "decode it and write functions"), with("all", None));
        assert_eq!(chosen(&rules[..2], "hello"), None);
    }
}
