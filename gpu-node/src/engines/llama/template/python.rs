//! The Jinja environment that templates expect: Hugging Face's settings and functions, and Python's string methods.

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    syntax::SyntaxConfig,
    value::{Kwargs, ValueKind, from_args},
};
use minijinja_contrib::pycompat;
use time::{OffsetDateTime, format_description};

use crate::engines::llama::tools::python_json;

/// An environment without templates.
pub(super) fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(method);
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", strftime_now);
    environment.add_filter("tojson", tojson);
    // In Python strings and maps are sequences too, and none isn't iterable.
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
    });
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    Ok(environment)
}

/// Replaces the tags `{% generation %}`, with which Hugging Face marks text to train on.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open);
        let Some(close) = tag.find("%}") else { break };
        let (tag, after) = tag.split_at(close);
        out.push_str(before);
        match tag.trim_start_matches("{%").trim_matches(['-', '+', ' ', '\n']) {
            // Only the word changes, so white space is trimmed as before.
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out + rest
}

/// The current time in UTC, in a format of C's `strftime`.
fn strftime_now(format: &str) -> Result<String, Error> {
    let invalid = |error: &dyn std::fmt::Display| Error::new(ErrorKind::InvalidOperation, error.to_string());
    let items = format_description::parse_strftime_owned(format).map_err(|error| invalid(&error))?;
    OffsetDateTime::now_utc().format(&items).map_err(|error| invalid(&error))
}

#[expect(clippy::needless_pass_by_value, reason = "a filter takes its options by value")]
/// `json.dumps` with the options of Hugging Face's `tojson`.
fn tojson(value: &Value, indent: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let indent = indent.or(options.get("indent")?);
    let separators: Option<Vec<String>> = options.get("separators")?;
    let ascii_only: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let compact = separators.is_some_and(|separators| separators == [",", ":"]);
    let json = if compact { serde_json::to_string(value) } else { python_json::to_string(value, indent) };
    let json = json.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(if ascii_only == Some(true) { escaped(&json) } else { json })
}

/// Escapes all non-ASCII characters of JSON; they occur in strings only.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

/// Python's methods: those of `minijinja_contrib`, and more string methods.
fn method(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return pycompat::unknown_method_callback(state, value, method, args);
    };
    Ok(match method {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let (before, after) = text.split_once(separator).unwrap_or((text, ""));
            let separator = if before.len() < text.len() { separator } else { "" };
            [before, separator, after].into_iter().map(Value::from).collect()
        }
        "rsplit" => {
            let (separator, max): (&str, Option<usize>) = from_args(args)?;
            let mut parts: Vec<&str> = match max {
                Some(max) => text.rsplitn(max + 1, separator).collect(),
                None => text.rsplit(separator).collect(),
            };
            parts.reverse();
            parts.into_iter().map(Value::from).collect()
        }
        _ => return pycompat::unknown_method_callback(state, value, method, args),
    })
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn render(source: &str) -> String {
        let values = context! {
            messages => vec![
                context! { role => "system", content => "S" },
                context! { role => "user", content => "U" },
                context! { role => "assistant", content => "<think>\nhm\n</think>\n\nA" },
            ],
            map => context! { b => 1, a => "é<" },
        };
        environment().unwrap().render_str(&without_generation_tags(source), values).unwrap()
    }

    #[test]
    fn python_features_of_templates_work() {
        for (source, expected) in [
            (
                "{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}",
                "True",
            ),
            (
                "{% for m in messages %}{{ loop.index0 }}{{ loop.previtem.role if loop.previtem is defined }}{{ loop.nextitem.role if not loop.last }};{% endfor %}",
                "0user;1systemassistant;2user;",
            ),
            (
                "{{ messages[0] is mapping }} {{ messages is sequence }} {{ 'a' is string }} {{ 'a' is sequence }} {{ 'a' is iterable }} {{ messages[0].tool_calls is defined }}",
                "True True True True True False",
            ),
            (
                "{{ messages[1:] | length }} {{ messages[::-1][0].role }} {{ messages[-1]['role'] }} {{ messages[:-1]|length }}",
                "2 assistant assistant 2",
            ),
            (
                "{{ messages[2].content.split('</think>')[-1].lstrip('\\n') }}{{ messages[2].content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') }}",
                "Ahm",
            ),
            (
                "{{ ' x ' | trim }}{{ 'ab'.removeprefix('a') }}{{ 'ab'.removesuffix('b') }}{{ 'a:b:c'.rsplit(':', 1)[0] }}{{ 'a:b'.partition(':')[2] }}",
                "xbaa:bb",
            ),
            (
                "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ messages | rejectattr('role', 'in', ['user']) | list | length }}{{ messages | selectattr('tool_calls', 'undefined') | list | length }}",
                "123",
            ),
            (
                "{{ messages | map(attribute='role') | list }}{{ messages | map(attribute='role') | join(',') }}",
                "['system', 'user', 'assistant']system,user,assistant",
            ),
            (
                "{% for k, v in map | items %}{{ k }}{{ v }}{% endfor %}{% for k, v in map.items() %}{{ k }}{{ v }}{% endfor %}{{ map.get('b') }}{{ map.get('x', 7) }}{{ map.get('x') is none }}{{ map.keys() | list }}",
                "b1aé<b1aé<17True['b', 'a']",
            ),
            (
                "{{ map | tojson }}{{ map | tojson(indent=2) }}{{ map | tojson(separators=(',', ':'), ensure_ascii=False) }}",
                "{\"b\": 1, \"a\": \"é<\"}{\n  \"b\": 1,\n  \"a\": \"é<\"\n}{\"b\":1,\"a\":\"é<\"}",
            ),
            (
                "{{ 'é😀' | tojson(ensure_ascii=true) }}{{ none is iterable }}{{ 1 is iterable }}{{ {} is iterable }}{{ none is sequence }}",
                "\"\\u00e9\\ud83d\\ude00\"FalseFalseTrueFalse",
            ),
            (
                "{% macro greet(name, mark='!') %}Hi {{ name }}{{ mark }}{% endmacro %}{{ greet('a') }}{{ greet('b', mark='?') }}",
                "Hi a!Hi b?",
            ),
            (
                "{% macro down(n) %}{{ n }}{% if n %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(3) }}",
                "3210",
            ),
            (
                "{{ 'a' ~ 1 ~ none }}{{ 'a' + 'b' }}{{ 'a' * 3 }}{{ [1] + [2] }}{{ 7 // 2 }}{{ 7 % 4 }}",
                "a1Noneabaaa[1, 2]33",
            ),
            (
                "{% set x = dict(a=1, b='c') %}{{ x.a }}{{ x['b'] }}{% set y = dict(x, d=2) %}{{ y }}",
                "1c{'a': 1, 'b': 'c', 'd': 2}",
            ),
            (
                "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
                "02",
            ),
            (
                "{% set x %} a {% endset %}{{ x | trim }}{% filter upper %}b{% endfilter %}{% set a, b = 1, 2 %}{{ b }}",
                "aB2",
            ),
            (
                "{{ '%s-%d' | format('a', 1) }}{{ '{} {}'.format(1, 'b') }}{{ 'ab'.startswith(('x', 'a')) }}",
                "a-11 bTrue",
            ),
            ("{{ true }}{{ none }}{{ [1, 'a', none] }}{{ 1.0 }}", "TrueNone[1, 'a', None]1.0"),
            ("a\n{%- generation %}b{% endgeneration -%}\nc", "abc"),
            ("a\n    {% generation %}\nb\n    {% endgeneration %}\nc", "a\nb\nc"),
        ] {
            assert_eq!(render(source), expected, "{source}");
        }
    }

    #[test]
    fn current_time_is_formatted() {
        let now = OffsetDateTime::now_utc();
        assert!((2024..2100).contains(&render("{{ strftime_now('%Y') }}").parse().unwrap()));
        let date = render("{{ strftime_now('%d %b %Y, %A %B %H:%M:%S %y-%m %j %p %I %%') }}");
        assert!(date.contains(&now.month().to_string()) || now.day() == 1, "{date}");
        assert!(date.ends_with('%'), "{date}");
        let unknown = environment().unwrap().render_str("{{ strftime_now('%Q') }}", ()).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::InvalidOperation);
    }
}
