//! Compiled grammars, kept: a program asks for the same form again and again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use hearth_domain::{ResponseFormat, TextTask, Tool, ToolChoice};
use hearth_schema::{AnswerSchema, Level};
use hearth_wire::ApiError;
use llama_cpp_2::{model::LlamaModel, sampling::LlamaSampler};
use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    SharedMatcher, Structure, compact,
    compile::{Compiler, Cost, Refusal, factory},
};
use crate::engines::llama::{
    tools::{ToolFormat, call_grammar},
    vocabulary::Vocabulary,
};

/// How many grammars are kept; the one that was compiled first goes first.
const GRAMMARS_MAX_COUNT: usize = 64;

/// How much of a reason is told, in characters.
const REASON_MAX_CHARS: usize = 400;

/// A model's grammars.
#[derive(Default)]
pub(in crate::engines::llama) struct Grammars {
    /// Made with the first grammar: a large vocabulary takes a moment.
    factory: OnceLock<Result<Arc<ParserFactory>, String>>,
    compiler: Compiler,
    kept: Mutex<Kept>,
}

/// What answers to a task are held to.
#[derive(Clone)]
pub(in crate::engines::llama) struct Compiled {
    /// The grammar, before an answer's first token.
    pub(in crate::engines::llama) matcher: SharedMatcher,
    /// The check of an answer that has a JSON Schema.
    pub(in crate::engines::llama) structure: Option<Arc<Structure>>,
}

#[derive(Default)]
struct Kept {
    compiled: HashMap<Key, Compiled>,
    order: VecDeque<Key>,
}

type Key = [u8; 32];

impl Grammars {
    /// What a task's answer must be like; none if any text will do.
    ///
    /// # Errors
    /// `invalid_request` for a schema that is refused.
    pub(in crate::engines::llama) fn of(
        &self,
        model: &LlamaModel,
        vocabulary: &Vocabulary,
        format: ToolFormat,
        task: &TextTask,
    ) -> Result<Option<Compiled>, ApiError> {
        let Some(key) = key(task) else { return Ok(None) };
        if let Some(kept) = self.lock().compiled.get(&key) {
            return Ok(Some(kept.clone()));
        }
        let made =
            self.factory.get_or_init(|| factory(&LlamaSampler::llguidance_tok_env(model)).map(Arc::new));
        let factory = made.as_ref().map_err(|reason| refused(task, reason))?;
        let grammar_with = |answer: Option<&Value>| grammar(vocabulary, format, task, answer);
        let compile = |answer: Option<&Value>, cost| match grammar_with(answer) {
            Ok(Some(grammar)) => self.compiler.compile(factory, grammar, cost).map(Some),
            Ok(None) => Ok(None),
            Err(reason) => Err(Refusal::Unsupported(reason)),
        };
        let compiled = match &task.response_format {
            ResponseFormat::JsonSchema(schema) if !must_call(task) => with_schema(schema, compile),
            other => {
                let any_object = *other == ResponseFormat::JsonObject && !must_call(task);
                let answer = any_object.then(|| compact(json!({"type": "object"}), true));
                compile(answer.as_ref(), Cost::Unknown)
                    .map(|matcher| matcher.map(|matcher| (matcher, None)))
                    .map_err(|refusal| format!("the JSON Schema can't be held to: {refusal}"))
            }
        };
        let Some((matcher, structure)) = compiled.map_err(|reason| refused(task, &reason))? else {
            return Ok(None);
        };
        let compiled = Compiled { matcher: Arc::new(Mutex::new(matcher)), structure };
        self.keep(key, &compiled);
        Ok(Some(compiled))
    }

    fn keep(&self, key: Key, compiled: &Compiled) {
        let mut kept = self.lock();
        if kept.order.len() >= GRAMMARS_MAX_COUNT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.compiled.remove(&oldest);
        }
        if kept.compiled.insert(key, compiled.clone()).is_none() {
            kept.order.push_back(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) type WithStructure = Option<(Matcher, Option<Arc<Structure>>)>;

/// Compiles as much of a client's schema as a grammar can express.
pub(super) fn with_schema(
    schema: &Value,
    compile: impl Fn(Option<&Value>, Cost) -> Result<Option<Matcher>, Refusal>,
) -> Result<WithStructure, String> {
    let in_our_words = |reason: String| format!("the schema {reason}");
    let schema = AnswerSchema::read(schema).map_err(in_our_words)?;
    let checker = schema.checker().map_err(in_our_words)?;
    for level in schema.levels() {
        let relaxed = schema.relax(*level);
        let cost = if *level == Level::Json { Cost::Little } else { Cost::Unknown };
        match compile(Some(&compact(relaxed.schema, true)), cost) {
            Ok(Some(matcher)) => {
                let structure = Structure { checker, relaxed: relaxed.keywords };
                return Ok(Some((matcher, Some(Arc::new(structure)))));
            }
            Ok(None) => return Ok(None),
            // The grammar accepts more than the schema does, and yet nothing.
            Err(Refusal::Empty) => return Err("the schema is fitted by no JSON value at all".to_owned()),
            Err(refusal) => tracing::debug!(?level, %refusal, "a schema is relaxed further"),
        }
    }
    Err("the schema can't be made a grammar in time; make it simpler".to_owned())
}

/// Whether the answer must be a call of a tool.
fn must_call(task: &TextTask) -> bool {
    matches!(task.tool_choice, ToolChoice::Required | ToolChoice::Named(_))
}

/// Whether it may be one.
fn may_call(task: &TextTask) -> bool {
    task.tool_choice == ToolChoice::Auto && !task.tools.is_empty()
}

/// The grammar of a task, with the schema of its answer, as grammars take it.
fn grammar(
    vocabulary: &Vocabulary,
    format: ToolFormat,
    task: &TextTask,
    answer: Option<&Value>,
) -> Result<Option<TopLevelGrammar>, String> {
    // A call that must be made is the whole answer.
    let answer = answer.filter(|_| !must_call(task));
    let calls = if must_call(task) || may_call(task) {
        let special = |marker: &str| vocabulary.special_token(marker);
        let (choice, parallel) = (&task.tool_choice, task.parallel_tool_calls);
        call_grammar(format, &task.tools, choice, parallel, answer, &special)?
    } else {
        None
    };
    Ok(calls.or_else(|| answer.cloned().map(TopLevelGrammar::from_json_schema)))
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

/// The request's field that the grammar is of.
pub(in crate::engines::llama) fn param(task: &TextTask) -> &'static str {
    match &task.response_format {
        _ if must_call(task) => "tools",
        ResponseFormat::JsonSchema(_) => "response_format.json_schema.schema",
        ResponseFormat::JsonObject => "response_format",
        ResponseFormat::Text => "tools",
    }
}

fn refused(task: &TextTask, reason: &str) -> ApiError {
    // A reason may show the client's whole schema again.
    let mut shown: String = reason.chars().take(REASON_MAX_CHARS).collect();
    if shown.len() < reason.len() {
        shown.push('…');
    }
    ApiError::invalid(param(task), shown)
}
