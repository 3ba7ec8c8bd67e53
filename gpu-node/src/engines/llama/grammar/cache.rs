//! A cache of compiled grammars: programs send the same schema again and again.

use std::{
    cell::Cell,
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use hearth_domain::{ResponseFormat, TextTask, Tool, ToolChoice};
use hearth_schema::{AnswerSchema, RelaxLevel, RelaxedSchema};
use hearth_wire::{ApiError, ErrorCode};
use llama_cpp_2::{model::LlamaModel, sampling::LlamaSampler};
use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    compilation::CompileError,
    compile::{COMPILE_TIMEOUT, CompileCost, Compiler, factory},
    constraint::SharedMatcher,
    in_progress::InProgress,
    schema_check::SchemaCheck,
};
use crate::engines::llama::{
    grammar_schema::single_line_schema,
    preparation::Preparation,
    tools::{ToolFormat, call_grammar},
    vocabulary::Vocabulary,
};

/// Maximum number of cached grammars; the oldest is evicted first.
const GRAMMARS_MAX_COUNT: usize = 64;

/// Maximum length of a reason in an error message, in characters.
const REASON_MAX_CHARS: usize = 400;

/// The grammars of one model.
#[derive(Default)]
pub(in crate::engines::llama) struct Grammars {
    /// Created with the first grammar, since a large vocabulary takes time.
    factory: OnceLock<Result<Arc<ParserFactory>, String>>,
    compiler: Compiler,
    in_progress: InProgress,
    cached: Mutex<CachedGrammars>,
}

/// A task's compiled grammar, and the check of its answers.
#[derive(Clone)]
pub(in crate::engines::llama) struct CompiledGrammar {
    /// A matcher before an answer's first token.
    pub(in crate::engines::llama) matcher: SharedMatcher,
    /// The check of finished answers, if they have a JSON Schema.
    pub(in crate::engines::llama) schema_check: Option<Arc<SchemaCheck>>,
}

#[derive(Default)]
struct CachedGrammars {
    by_key: HashMap<Key, CompiledGrammar>,
    /// Keys in the order of insertion.
    order: VecDeque<Key>,
}

/// SHA-256 of everything that a grammar is compiled from.
pub(super) type Key = [u8; 32];

impl Grammars {
    /// Compiles the grammar of a task's answers, or finds it in the cache; `None` if they may be any text. Ends early when
    /// the run is cancelled.
    ///
    /// # Errors
    /// `invalid_request` for a schema that is refused; `overloaded` while others are compiled, if its own compilation can't begin, or
    /// it can't be relaxed.
    pub(in crate::engines::llama) fn compile(
        &self,
        model: &LlamaModel,
        vocabulary: &Vocabulary,
        format: ToolFormat,
        task: &TextTask,
        preparation: &Preparation,
    ) -> Result<Option<CompiledGrammar>, ApiError> {
        let Some(key) = key(task) else { return Ok(None) };
        if let Some(cached) = self.cached(&key) {
            return Ok(Some(cached));
        }
        let _leader = self.in_progress.lead_or_wait(key, preparation);
        if let Some(cached) = self.cached(&key) {
            return Ok(Some(cached));
        }
        let factory =
            self.factory.get_or_init(|| factory(&LlamaSampler::llguidance_tok_env(model)).map(Arc::new));
        let factory = factory.as_ref().map_err(|reason| refused(task, reason))?;
        let grammar_with = |answer: Option<&Value>| grammar(vocabulary, format, task, answer);
        let was_busy = Cell::new(false);
        let compile = |answer: Option<&Value>, cost| match grammar_with(answer) {
            Ok(Some(grammar)) => {
                let compiled = self.compiler.compile(factory, grammar, cost, preparation);
                let is_busy = matches!(compiled, Err(CompileError::Slow | CompileError::Busy));
                was_busy.set(was_busy.get() || is_busy);
                compiled.map(Some)
            }
            Ok(None) => Ok(None),
            Err(reason) => Err(CompileError::Unsupported(reason)),
        };
        let compiled = match &task.response_format {
            ResponseFormat::JsonSchema(schema) if !must_call(task) => compile_schema(schema, compile),
            other => {
                let any_object = *other == ResponseFormat::JsonObject && !must_call(task);
                let answer = any_object.then(|| single_line_schema(json!({"type": "object"}), true));
                compile(answer.as_ref(), CompileCost::Unbounded)
                    .map(|matcher| matcher.map(|matcher| (matcher, None)))
                    .map_err(|error| format!("the JSON Schema can't be enforced: {error}"))
            }
        };
        let failed = |reason: String| match was_busy.get() {
            true => ApiError::new(ErrorCode::Overloaded, reason),
            false => refused(task, &reason),
        };
        let Some((matcher, schema_check)) = compiled.map_err(failed)? else {
            return Ok(None);
        };
        let compiled = CompiledGrammar { matcher: Arc::new(Mutex::new(matcher)), schema_check };
        // A schema that was relaxed while others were compiled isn't the next time.
        if !was_busy.get() {
            self.insert(key, &compiled);
        }
        Ok(Some(compiled))
    }

    fn cached(&self, key: &Key) -> Option<CompiledGrammar> {
        self.lock().by_key.get(key).cloned()
    }

    fn insert(&self, key: Key, compiled: &CompiledGrammar) {
        let mut cached = self.lock();
        if cached.order.len() >= GRAMMARS_MAX_COUNT
            && let Some(oldest) = cached.order.pop_front()
        {
            cached.by_key.remove(&oldest);
        }
        if cached.by_key.insert(key, compiled.clone()).is_none() {
            cached.order.push_back(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, CachedGrammars> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A matcher, and the check of answers; `None` if answers may be any text.
pub(super) type MatcherWithCheck = Option<(Matcher, Option<Arc<SchemaCheck>>)>;

/// Compiles a client's schema, relaxed level by level until a grammar can express it in time.
pub(super) fn compile_schema(
    schema: &Value,
    compile: impl Fn(Option<&Value>, CompileCost) -> Result<Option<Matcher>, CompileError>,
) -> Result<MatcherWithCheck, String> {
    let with_subject = |reason: String| format!("the schema {reason}");
    let schema = AnswerSchema::parse(schema).map_err(with_subject)?;
    let checker = schema.checker().map_err(with_subject)?;
    let lenient = schema.lenient_checker().map_err(with_subject)?;
    let mut is_slow = false;
    for level in schema.levels() {
        let relaxed = schema.relax(*level);
        let cost = if *level == RelaxLevel::Json { CompileCost::Bounded } else { CompileCost::Unbounded };
        let compile = |schema: &Value| compile(Some(&single_line_schema(schema.clone(), true)), cost);
        let (relaxed, compiled) = match compile(&relaxed.schema) {
            // A definition that no value fits makes the whole grammar empty, also where it isn't needed.
            Err(CompileError::Empty) => {
                let Some(pruned) = prune(relaxed, compile) else {
                    return Err("the schema allows no JSON value at all".to_owned());
                };
                let compiled = compile(&pruned.schema);
                (pruned, compiled)
            }
            compiled => (relaxed, compiled),
        };
        match compiled {
            Ok(Some(matcher)) => {
                let check = SchemaCheck { checker, lenient, relaxed: relaxed.keywords };
                return Ok(Some((matcher, Some(Arc::new(check)))));
            }
            Ok(None) => return Ok(None),
            Err(error @ CompileError::Cancelled) => return Err(error.to_string()),
            // A retry may get the whole schema enforced; an answer without its grammar would be worse than an error.
            Err(error @ CompileError::Busy) if !is_slow => return Err(error.to_string()),
            Err(error) => {
                // Its own compilations hold places until they end.
                is_slow |= matches!(error, CompileError::Timeout | CompileError::Slow);
                tracing::debug!(?level, %error, "a schema is relaxed further");
            }
        }
    }
    Err("the schema can't be compiled to a grammar in time; make it simpler".to_owned())
}

/// Removes the definitions that no value fits; `None` if no value fits the schema. After [`COMPILE_TIMEOUT`] the others stay.
fn prune(
    relaxed: RelaxedSchema,
    compile: impl Fn(&Value) -> Result<Option<Matcher>, CompileError>,
) -> Option<RelaxedSchema> {
    let ends_at = Instant::now() + COMPILE_TIMEOUT;
    relaxed.without_empty_definitions(|schema| {
        Instant::now() < ends_at && matches!(compile(schema), Err(CompileError::Empty))
    })
}

/// Returns whether the answer must be a tool call.
fn must_call(task: &TextTask) -> bool {
    matches!(task.tool_choice, ToolChoice::Required | ToolChoice::Named(_))
}

/// Returns whether the answer may be a tool call.
fn may_call(task: &TextTask) -> bool {
    task.tool_choice == ToolChoice::Auto && !task.tools.is_empty()
}

/// The uncompiled grammar of a task. `answer` is the relaxed schema of its answer.
fn grammar(
    vocabulary: &Vocabulary,
    format: ToolFormat,
    task: &TextTask,
    answer: Option<&Value>,
) -> Result<Option<TopLevelGrammar>, String> {
    // A required call is the whole answer.
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

/// The cache key of a task's grammar; `None` if it needs no grammar.
fn key(task: &TextTask) -> Option<Key> {
    let has_format = !must_call(task) && task.response_format != ResponseFormat::Text;
    let calls =
        must_call(task) || (may_call(task) && (has_format || task.tools.iter().any(|tool| tool.strict)));
    if !has_format && !calls {
        return None;
    }
    let format = has_format.then_some(&task.response_format);
    let tools: &[Tool] = if calls { &task.tools } else { &[] };
    let parts = (format, tools, &task.tool_choice, task.parallel_tool_calls);
    // JSON of these types can't fail.
    Some(Sha256::digest(serde_json::to_vec(&parts).unwrap_or_default()).into())
}

/// The field of the request that the grammar is compiled from.
pub(in crate::engines::llama) fn param(task: &TextTask) -> &'static str {
    match &task.response_format {
        _ if must_call(task) => "tools",
        ResponseFormat::JsonSchema(_) => "response_format.json_schema.schema",
        ResponseFormat::JsonObject => "response_format",
        ResponseFormat::Text => "tools",
    }
}

fn refused(task: &TextTask, reason: &str) -> ApiError {
    // A reason may contain the client's whole schema.
    let mut shown: String = reason.chars().take(REASON_MAX_CHARS).collect();
    if shown.len() < reason.len() {
        shown.push('…');
    }
    ApiError::invalid(param(task), shown)
}
