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

use super::{compile, factory, schema_grammar};
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

/// Whether it may be one that has to fit its schema.
fn may_call_strictly(task: &TextTask) -> bool {
    task.tool_choice == ToolChoice::Auto && task.tools.iter().any(|tool| tool.strict)
}

fn grammar(
    vocabulary: &Vocabulary,
    format: ToolFormat,
    task: &TextTask,
) -> Result<Option<TopLevelGrammar>, ApiError> {
    // An answer that must be of a form is held to that; calls are then made only when they must be.
    let formed = task.response_format != ResponseFormat::Text && !must_call(task);
    let grammar = if !formed && !task.tools.is_empty() {
        let special = |marker: &str| vocabulary.special_token(marker);
        call_grammar(format, &task.tools, &task.tool_choice, task.parallel_tool_calls, &special)
    } else {
        schema_grammar(&task.response_format)
    };
    grammar.map_err(|reason| refused(task, &reason))
}

/// What the grammar is made of, hashed; none if there is no grammar.
fn key(task: &TextTask) -> Option<Key> {
    let format = match &task.response_format {
        _ if must_call(task) => None,
        ResponseFormat::Text if may_call_strictly(task) => None,
        ResponseFormat::Text => return None,
        format => Some(format),
    };
    let tools: &[Tool] = if format.is_none() { &task.tools } else { &[] };
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
