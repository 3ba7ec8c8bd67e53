//! The operator's rules for requests that name no model.

use hearth_domain::{Generation, Role, Task, intent::words};

use super::needs::Needs;
use crate::settings::Rule;

/// The first rule that matches, and the word that matched.
pub(super) fn first_match<'a>(
    rules: &'a [Rule],
    generation: &Generation,
    needs: &Needs,
) -> Option<(&'a Rule, Option<&'a str>)> {
    let prompt: Vec<String> = words(prompt(generation)).collect();
    rules.iter().find_map(|rule| {
        let is_match = rule.modality.is_none_or(|modality| modality == needs.modality)
            && rule.images.is_none_or(|images| images == needs.images)
            && rule.mesh.is_none_or(|mesh| mesh == needs.mesh)
            && rule.tools.is_none_or(|tools| tools == needs.tools);
        if !is_match {
            return None;
        }
        if rule.words.is_empty() {
            return Some((rule, None));
        }
        let is_in_prompt = |phrase: &&String| contains(&prompt, &words(phrase).collect::<Vec<_>>());
        rule.words.iter().find(is_in_prompt).map(|word| (rule, Some(word.as_str())))
    })
}

/// The user's last message.
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

fn contains(text: &[String], phrase: &[String]) -> bool {
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

    fn matched(rules: &[Rule], text: &str) -> Option<(String, Option<String>)> {
        let messages = vec![Message::new(Role::User, "some code"), Message::new(Role::User, text)];
        let generation = Generation::new(None, TextTask::new(messages, Sampling::default()));
        let matching_rule = first_match(rules, &generation, &Needs::of(&generation));
        matching_rule.map(|(rule, word)| (rule.model.clone(), word.map(str::to_owned)))
    }

    #[test]
    fn first_rule_with_a_word_of_the_last_prompt_matches() {
        let rules = [
            Rule { tools: Some(true), ..rule("tools", &[]) },
            rule("coder", &["code", "C++", "write a function"]),
            rule("all", &[]),
        ];
        let with = |model: &str, word: Option<&str>| Some((model.to_owned(), word.map(str::to_owned)));
        assert_eq!(matched(&rules, "Fix this CODE, please"), with("coder", Some("code")));
        assert_eq!(matched(&rules, "is c++ old?"), with("coder", Some("C++")));
        assert_eq!(matched(&rules, "Write a\nfunction!"), with("coder", Some("write a function")));
        // Neither a part of a word, nor an earlier message.
        assert_eq!(matched(&rules, "decode it and write functions"), with("all", None));
        assert_eq!(matched(&rules[..2], "hello"), None);
    }
}
