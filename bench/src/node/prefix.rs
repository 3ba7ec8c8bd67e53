//! A conversation's second turn, whose prompt begins with all of the first.

use anyhow::Result;
use hearth_domain::Role;

use super::{Bench, Report, Servers};
use crate::{
    client::{Answer, Ask, Turn},
    random::Random,
    rounds::{in_turns, seed},
    server::Server,
    table::{Goal, Row},
    words,
};

/// Words of each turn's question.
const QUESTION: usize = 12;
/// Tokens of each answer.
const TOKENS: u32 = 8;
/// Words that tell how many tokens a word has.
const SAMPLE: usize = 100;

pub(super) async fn second_turn(bench: &Bench, servers: &Servers, report: &mut Report) -> Result<()> {
    let words = prefix_words(&servers.node, bench.plan.prefix_tokens).await?;
    let both = [&servers.node, &servers.llama_server];
    let turns = in_turns("shared prefix", bench.plan.rounds, &both, async |server, round| {
        conversation(server, words, round).await
    })
    .await?;
    let of_both = |value: fn(&(Answer, Answer)) -> f64| -> [Vec<f64>; 2] {
        [0, 1].map(|server: usize| turns[server].iter().map(value).collect())
    };
    let table = &mut report.against_llama_server;
    let [ours, theirs] =
        of_both(|(first, _)| f64::from(first.usage.prompt_tokens) / first.first.as_secs_f64());
    table.push(Row::ratio("prefill of a first turn", "tok/s", &ours, &theirs));
    let [ours, theirs] = of_both(|(first, _)| first.first_ms());
    table.push(Row::ratio("first turn, first token", "ms", &ours, &theirs));
    let [ours, theirs] = of_both(|(_, second)| second.first_ms());
    let row = Row::ratio("second turn, first token", "ms", &ours, &theirs);
    table.push(row.goal(Goal::AtMost(1.0)));
    let [ours, theirs] = of_both(|(_, second)| f64::from(second.usage.cached_tokens));
    table.push(Row::ratio("second turn, cached", "tokens", &ours, &theirs));
    Ok(())
}

/// Two turns that have `words` words in common.
async fn conversation(server: &Server, words: usize, round: u64) -> Result<(Answer, Answer)> {
    let mut random = Random::new(seed("prefix", round));
    let mut say = |role, words| Turn { role, text: words::text(&mut random, words) };
    let turns = vec![say(Role::System, words), say(Role::User, QUESTION)];
    let mut ask = Ask { turns, max_tokens: TOKENS, seed: round as u32 };
    let first = server.client.ask(&ask).await?;
    ask.turns.push(Turn { role: Role::Assistant, text: first.text.clone() });
    ask.turns.push(say(Role::User, QUESTION));
    let second = server.client.ask(&ask).await?;
    Ok((first, second))
}

/// Number of words with this number of tokens in the model's vocabulary: twice as many words are sent, and the
/// difference is theirs, without what the chat template adds.
async fn prefix_words(server: &Server, tokens: usize) -> Result<usize> {
    let mut random = Random::new(seed("sample", 0));
    let mut counts = [0; 2];
    for (count, words) in counts.iter_mut().zip([SAMPLE, 2 * SAMPLE]) {
        *count = server.client.ask(&Ask::random(&mut random, words, 1)).await?.usage.prompt_tokens;
    }
    let tokens_of_the_sample = counts[1].saturating_sub(counts[0]).max(1) as usize;
    Ok(tokens * SAMPLE / tokens_of_the_sample)
}
