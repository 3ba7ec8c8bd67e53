//! Checks every response that [`Client`](crate::Client) receives, and those of raw requests, against the gateway's OpenAPI document.
//!
//! The document is that of the binary under test (`hearth openapi`). It has a megabyte, and each test is a process of its own: so the
//! first process of a build writes it in pieces beside the binary, and a test reads the pieces of the routes that it uses.

mod pieces;
mod template;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use jsonschema::{Draft, Validator};
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap},
};
use serde_json::{Value, json};

use pieces::Pieces;
use template::Template;

/// Header of every response of the gateway, and the beginning of its value. Responses without it are of others, such as API Gateway.
const REQUEST_ID: (&str, &str) = ("x-request-id", "req_");
/// Statuses of paths that the document doesn't have.
const UNKNOWN_PATH: [u16; 3] = [401, 404, 405];
/// Statuses that any path may have: no such method, and a limit of all requests.
const ANYWHERE: [u16; 2] = [405, 429];
/// Paths that the document doesn't have: a page, and paths below which it lists none.
const UNLISTED: [&str; 3] = ["/", "/docs/", "/v1beta/openai/"];
/// Where the models of several dialects are. The document has the native shape, OpenAI's and Anthropic's, and no other dialect's
/// errors and lists.
const SHARED_PATH: &str = "/v1/models";
/// Ends of Gemini's paths, which `/v1/models` has too.
const GEMINI_METHODS: [&str; 5] =
    [":generateContent", ":streamGenerateContent", ":countTokens", ":embedContent", ":batchEmbedContents"];

static DOCUMENT: LazyLock<Option<Document>> = LazyLock::new(Document::load);

struct Document {
    pieces: Pieces,
    routes: Vec<Route>,
    /// Operations by the names of their pieces.
    operations: Mutex<HashMap<String, Arc<Value>>>,
    /// Validators by the places of their schemas in the document.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// A path of the document.
struct Route {
    template: Template,
    path: String,
    /// Names of the pieces by method.
    operations: BTreeMap<String, String>,
}

/// Checks a response: its route, its status, its media type, and its body if that is JSON.
///
/// # Panics
/// If the document doesn't allow it.
pub fn check(method: &Method, path: &str, status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) {
    // The document has the colon of Gemini's methods as it is.
    let path = &*path.replace("%3A", ":");
    let (name, start) = REQUEST_ID;
    let is_gateways =
        headers.get(name).and_then(|id| id.to_str().ok()).is_some_and(|id| id.starts_with(start));
    let is_unlisted = |unlisted: &&str| match *unlisted {
        "/" => path == "/",
        below => path.starts_with(below),
    };
    if !is_gateways || UNLISTED.iter().any(is_unlisted) || is_geminis(path) {
        return;
    }
    let Some(document) = &*DOCUMENT else { return };
    if let Err(problem) = document.check(method, path, status, headers, body) {
        let shown = body.map(|body| String::from_utf8_lossy(&body[..body.len().min(2_000)]).into_owned());
        panic!(
            "{method} {path} answered {status}, and the OpenAPI document doesn't allow it: {problem}\n{}",
            shown.unwrap_or_default()
        );
    }
}

impl Document {
    fn load() -> Option<Self> {
        let pieces = Pieces::of_binary()?;
        let index = pieces.read("index")?;
        let mut routes: Vec<Route> = index
            .as_object()?
            .iter()
            .map(|(path, operations)| Route {
                template: Template::parse(path),
                path: path.clone(),
                operations: serde_json::from_value(operations.clone()).unwrap_or_default(),
            })
            .collect();
        // The most exact ones first.
        routes.sort_by_key(|route| std::cmp::Reverse(route.template.literal_chars()));
        Some(Self { pieces, routes, operations: Mutex::default(), validators: Mutex::default() })
    }

    fn check(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: Option<&[u8]>,
    ) -> Result<(), String> {
        // A page of another origin asks for the methods.
        if *method == Method::OPTIONS {
            return Ok(());
        }
        let routes = self.routes_of(path);
        if routes.is_empty() {
            let is_expected = UNKNOWN_PATH.contains(&status.as_u16()) || status.is_redirection();
            return if is_expected { Ok(()) } else { Err("it has no such path".to_owned()) };
        }
        let is_head = *method == Method::HEAD;
        let name = if is_head { "get".to_owned() } else { method.as_str().to_ascii_lowercase() };
        let operation = routes.iter().find_map(|route| Some((*route, route.operations.get(&name)?)));
        let Some((route, piece)) = operation else {
            let is_expected = UNKNOWN_PATH.contains(&status.as_u16());
            let known = &routes[0].path;
            return if is_expected { Ok(()) } else { Err(format!("{known} has no such method")) };
        };
        let operation = self.operation(piece).ok_or("its piece can't be read")?;
        let at = format!("#/paths/{}/{name}/responses", route.path.replace('/', "~1"));
        let code = status.as_u16().to_string();
        let range = format!("{}XX", status.as_u16() / 100);
        let declared = [code.as_str(), range.as_str(), "default"];
        let Some((key, response)) =
            declared.into_iter().find_map(|key| Some((key, operation["responses"].get(key)?)))
        else {
            let declared: Vec<&String> =
                operation["responses"].as_object().into_iter().flatten().map(|(key, _)| key).collect();
            let is_expected = ANYWHERE.contains(&status.as_u16());
            return if is_expected { Ok(()) } else { Err(format!("{at} has no {code}, but {declared:?}")) };
        };
        let Some(body) = body.filter(|_| !is_head && status != StatusCode::NOT_MODIFIED) else {
            return Ok(());
        };
        let Some(content) = response["content"].as_object() else {
            let is_empty = body.is_empty() || status.is_redirection();
            return if is_empty { Ok(()) } else { Err(format!("{at}/{key} has no content")) };
        };
        let media_type = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let declared = content.get(media_type).or_else(|| {
            // A file has the type that its bytes have.
            content.get("*/*").filter(|_| media_type != "application/json")
        });
        let Some(declared) = declared else {
            // A stream's events aren't described, but by the text of the route.
            if media_type == "text/event-stream" && status.is_success() {
                return Ok(());
            }
            let types: Vec<&String> = content.keys().collect();
            return Err(format!("{at}/{key} has the media types {types:?}, and not {media_type:?}"));
        };
        // The client of the tests asks for compression where a test does, and decompresses nothing.
        if media_type != "application/json" || headers.contains_key(CONTENT_ENCODING) {
            return Ok(());
        }
        let instance =
            serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
        if path.starts_with(SHARED_PATH) && (is_anthropic_error(&instance) || is_gemini_list(&instance)) {
            return Ok(());
        }
        let at = format!("{at}/{key}/content/application~1json");
        self.check_body(&at, &declared["schema"], &instance).map_err(|problem| format!("{at}: {problem}"))
    }

    /// An operation, which is read once.
    fn operation(&self, piece: &str) -> Option<Arc<Value>> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(operation) = operations.get(piece) {
            return Some(Arc::clone(operation));
        }
        let operation = Arc::new(self.pieces.read(piece)?);
        operations.insert(piece.to_owned(), Arc::clone(&operation));
        Some(operation)
    }

    /// The routes of the path, the most exact first; ids with slashes only where nothing else matches.
    fn routes_of(&self, path: &str) -> Vec<&Route> {
        for spans_slashes in [false, true] {
            let matching = |route: &&Route| route.template.matches(path, spans_slashes);
            let routes: Vec<&Route> = self.routes.iter().filter(matching).collect();
            if !routes.is_empty() {
                return routes;
            }
        }
        Vec::new()
    }

    /// Checks a body by the schema at this place of the document.
    fn check_body(&self, at: &str, schema: &Value, instance: &Value) -> Result<(), String> {
        if schema.is_null() {
            return Ok(());
        }
        let validator = self.validator(at, schema)?;
        let problems: Vec<String> = validator
            .iter_errors(instance)
            .take(3)
            .map(|error| format!("{}: {error}", error.instance_path().as_str()))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    fn validator(&self, at: &str, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = validators.get(at) {
            return Ok(Arc::clone(validator));
        }
        let whole = self.with_definitions(&schema.to_string())?;
        let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&whole);
        let validator = Arc::new(validator.map_err(|error| format!("its schema is invalid: {error}"))?);
        validators.insert(at.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }

    /// The schema with the components that it refers to.
    fn with_definitions(&self, text: &str) -> Result<Value, String> {
        let (mut definitions, mut waiting) = (serde_json::Map::new(), references(text));
        while let Some(name) = waiting.pop() {
            if definitions.contains_key(&name) {
                continue;
            }
            let piece = format!("schema-{name}");
            let component =
                self.pieces.read(&piece).ok_or_else(|| format!("there is no component {name}"))?;
            let text = component.to_string();
            waiting.extend(references(&text));
            definitions.insert(name, parse(&text)?);
        }
        Ok(json!({"allOf": [parse(text)?], "$defs": definitions}))
    }
}

/// True for a path of Gemini's API below another API's.
fn is_geminis(path: &str) -> bool {
    path.starts_with(SHARED_PATH) && GEMINI_METHODS.iter().any(|method| path.ends_with(method))
}

/// True for an error of Anthropic's API.
fn is_anthropic_error(body: &Value) -> bool {
    body["type"] == "error"
}

/// True for a list of models of Gemini's API.
fn is_gemini_list(body: &Value) -> bool {
    body.get("models").is_some() && body.get("object").is_none()
}

const COMPONENTS: &str = "#/components/schemas/";

/// The names of the components that a schema's text refers to.
fn references(text: &str) -> Vec<String> {
    let names = text.split(COMPONENTS).skip(1);
    names.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(&text.replace(COMPONENTS, "#/$defs/")).map_err(|error| error.to_string())
}
