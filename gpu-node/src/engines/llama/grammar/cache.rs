//! Compiled grammars, kept: a program asks for the same form again and again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use hearth_domain::{ResponseFormat, TextTask, Tool, ToolChoice};
use hearth_wire::ApiError;
use llama_cpp_2::{model::LlamaModel, sampling::LlamaSampler};
use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar};
use sha2::{Digest as _, Sha256};

use super::{answer_schema, compile, factory};
use crate::engines::llama::{
    tools::{ToolFormat, call_grammar},
    vocabulary::Vocabulary,
};

/// How many grammars are kept; the one that was compiled first goes first.
const KEPT: usize = 64;

/// How much of a reason is told, in characters.
const SHOWN: usize = 300;

/// A model's grammars.
#[derive(Default)]
pub(in crate::engines::llama) struct Grammars {
    /// Made with the first grammar: a large vocabulary takes a moment.
    factory: OnceLock<Result<ParserFactory, String>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    matchers: HashMap<Key, Matcher>,
    order: VecDeque<Key>,
}

type Key = [u8; 32];

impl Grammars {
    /// What a task's answer must be like; none if any text will do.
    ///
    /// # Errors
    /// `invalid_request` for a schema that can't be held to.
    pub(in crate::engines::llama) fn matcher(
        &self,
        model: &LlamaModel,
        vocabulary: &Vocabulary,
        format: ToolFormat,
        task: &TextTask,
    ) -> Result<Option<Matcher>, ApiError> {
        let Some(key) = key(task) else { return Ok(None) };
        if let Some(kept) = self.lock().matchers.get(&key) {
            return Ok(Some(kept.deep_clone()));
        }
        let Some(grammar) = grammar(vocabulary, format, task)? else { return Ok(None) };
        let factory = self.factory.get_or_init(|| factory(&LlamaSampler::llguidance_tok_env(model)));
        let factory = factory.as_ref().map_err(|reason| refused(task, reason))?;
        let matcher = compile(factory, grammar).map_err(|reason| refused(task, &reason))?;
        let mut kept = self.lock();
        if kept.order.len() >= KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.matchers.remove(&oldest);
        }
        if kept.matchers.insert(key, matcher.deep_clone()).is_none() {
            kept.order.push_back(key);
        }
        Ok(Some(matcher))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the answer must be a call of a tool.
fn must_call(task: &TextTask) -> bool {
    matches!(task.tool_choice, ToolChoice::Required | ToolChoice::Named(_))
}

/// Whether it may be one.
fn may_call(task: &TextTask) -> bool {
    task.tool_choice == ToolChoice::Auto && !task.tools.is_empty()
}

fn grammar(
    vocabulary: &Vocabulary,
    format: ToolFormat,
    task: &TextTask,
) -> Result<Option<TopLevelGrammar>, ApiError> {
    let grammar = || {
        // A call that must be made is the whole answer.
        let format_of_answer = if must_call(task) { &ResponseFormat::Text } else { &task.response_format };
        let answer = answer_schema(format_of_answer)?;
        let calls = if must_call(task) || may_call(task) {
            let special = |marker: &str| vocabulary.special_token(marker);
            let (choice, parallel) = (&task.tool_choice, task.parallel_tool_calls);
            call_grammar(format, &task.tools, choice, parallel, answer.as_ref(), &special)?
        } else {
            None
        };
        Ok(calls.or_else(|| answer.map(TopLevelGrammar::from_json_schema)))
    };
    grammar().map_err(|reason: String| refused(task, &reason))
}

/// What the grammar is made of, hashed; none if there is no grammar.
fn key(task: &TextTask) -> Option<Key> {
    let formed = !must_call(task) && task.response_format != ResponseFormat::Text;
    let calls = must_call(task) || (may_call(task) && (formed || task.tools.iter().any(|tool| tool.strict)));
    if !formed && !calls {
        return None;
    }
    let format = formed.then_some(&task.response_format);
    let tools: &[Tool] = if calls { &task.tools } else { &[] };
    let parts = (format, tools, &task.tool_choice, task.parallel_tool_calls);
    // JSON of these types can't fail.
    Some(Sha256::digest(serde_json::to_vec(&parts).unwrap_or_default()).into())
}

fn refused(task: &TextTask, reason: &str) -> ApiError {
    let param = if must_call(task) { "tools" } else { "response_format" };
    // A reason may show the client's whole schema again.
    let mut shown: String = reason.chars().take(SHOWN).collect();
    if shown.len() < reason.len() {
        shown.push('…');
    }
    ApiError::invalid(param, shown)
}
