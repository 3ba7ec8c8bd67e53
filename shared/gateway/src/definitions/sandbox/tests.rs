use std::time::Instant;

use serde_json::json;

use super::*;

fn values(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(values) => values,
        _ => panic!("an object"),
    }
}

fn render(source: &str, variables: Json) -> Result<String, RenderFailure> {
    let ends_at = Instant::now() + RENDER_TIMEOUT;
    MessageTemplate::compile(source).unwrap().render(&values(variables), ends_at)
}

fn problem(source: &str, variables: Json) -> String {
    match render(source, variables).unwrap_err() {
        RenderFailure::Problem(problem) => problem,
        RenderFailure::Undefined(name) => panic!("{name} is undefined"),
    }
}

#[test]
fn variables_conditions_and_loops_are_rendered() {
    let source = "Dear {{ name|trim }},\n{% for item in items if item.price > 1 %}{{ loop.index }}. {{ item.title|upper }}\n\
                  {% else %}nothing{% endfor %}{{ note|default('none') }}{% if tags is defined %}{{ tags|join(', ') }}{% endif %}";
    let items =
        json!([{"title": "tea", "price": 3}, {"title": "salt", "price": 1}, {"title": "oil", "price": 9}]);
    let rendered = render(source, json!({"name": " Ada ", "items": items, "tags": ["a", 1]})).unwrap();
    assert_eq!(rendered, "Dear Ada,\n1. TEA\n2. OIL\nnonea, 1");
}

#[test]
fn texts_are_not_escaped_for_html_and_json_is_json() {
    let rendered = render("{{ text }} {{ text|tojson }}", json!({"text": "<a> & \"b\""})).unwrap();
    assert_eq!(rendered, "<a> & \"b\" \"<a> & \\\"b\\\"\"");
}

#[test]
fn template_has_the_variables_that_it_does_not_bind() {
    let source = "{% set x = a %}{% for b in c %}{{ b }}{{ x }}{{ loop.index }}{% endfor %}{{ range(2)|join }}{{ d.e }}";
    let template = MessageTemplate::compile(source).unwrap();
    assert_eq!(template.variables.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "c", "d"]);
}

#[test]
fn undefined_variable_is_named() {
    let undefined = |source: &str, variables: Json| match render(source, variables).unwrap_err() {
        RenderFailure::Undefined(name) => name,
        RenderFailure::Problem(problem) => panic!("{problem}"),
    };
    assert_eq!(undefined("{{ a }}", json!({})), "a");
    assert_eq!(undefined("{{ a }}\n{{ c }} {{ b }}", json!({"a": 1, "c": 2})), "b");
    assert_eq!(undefined("{% if x is defined %}{{ x }}{% endif %}\n{{ y|upper }}", json!({})), "y");
    assert!(problem("{{ a.b.c }}", json!({"a": {}})).contains("field"));
}

#[test]
fn syntax_that_could_grow_without_bounds_is_refused_with_a_way_out() {
    for (source, part) in [
        ("{{ a ~ a }}", "~"),
        ("{{ 'a' * 1000000000 }}", "*"),
        ("{{ 2 ** 99999999 }}", "*"),
        ("{{ a + a }}", "+"),
        ("{% set a = [a, a] %}", "lists"),
        ("{{ {'x': a} }}", "lists and maps"),
        ("{% include 'other' %}", "stands alone"),
        ("{% extends 'other' %}", "stands alone"),
        ("{% macro m() %}{% endmacro %}", "macro"),
        ("{% autoescape true %}{% endautoescape %}", "autoescape"),
        ("{{ a.upper() }}", "filter"),
        ("{{ debug() }}", "functions"),
        ("{{ a|safe_html }}", "filters: abs"),
        ("{{ a is filter }}", "tests: boolean"),
        ("{{ a|select('x', *b) }}", "arguments"),
        ("{{ a", "is no valid template"),
        ("{% for x in y %}", "is no valid template"),
    ] {
        let problem = MessageTemplate::compile(source).unwrap_err();
        assert!(problem.contains(part), "{source}: {problem}");
    }
    let many = "{% set a = b %}".repeat(BINDINGS);
    assert!(MessageTemplate::compile(&many).is_ok());
    let more = "{% set a = b %}".repeat(BINDINGS + 1);
    assert!(MessageTemplate::compile(&more).unwrap_err().contains("binds more than"));
    assert!(MessageTemplate::compile(&"(".repeat(5_000)).is_ok());
    assert!(
        MessageTemplate::compile(&format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000))).is_err()
    );
}

/// The limit of names that a template binds.
const BINDINGS: usize = 64;

#[test]
fn every_allowed_filter_and_test_exists() {
    for name in filters::FILTERS {
        let rendered = render(&format!("{{{{ x|{name} }}}}"), json!({"x": 1}));
        let text = format!("{rendered:?}");
        assert!(!text.contains("unknown") && !text.contains("is unknown"), "{name}: {text}");
    }
    for name in filters::TESTS.into_iter().filter(|name| name.chars().all(char::is_alphabetic)) {
        let text = format!("{:?}", render(&format!("{{{{ x is {name} }}}}"), json!({"x": 1})));
        assert!(!text.contains("unknown"), "{name}: {text}");
    }
}

#[test]
fn work_is_bounded_in_steps_bytes_and_time() {
    let began = Instant::now();
    let long = "x ".repeat(100_000);
    let nested = "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}";
    assert!(problem(nested, json!({})).contains("too many steps"));
    let printed = "{% for a in range(10) %}{{ x }}{% endfor %}";
    assert!(problem(printed, json!({"x": long})).contains("longer than"));
    let captured = "{% for a in range(1000) %}{% set y %}{{ x }}{% endset %}{% endfor %}";
    assert!(problem(captured, json!({"x": long})).contains("too much work"));
    let filtered = "{% for a in range(1000) %}{% set y = x|upper %}{% endfor %}";
    assert!(problem(filtered, json!({"x": long})).contains("too much work"));
    assert!(problem("{{ x|replace(' ', x)|length }}", json!({"x": long})).contains("too long"));
    assert!(problem("{{ x|split|join(x)|length }}", json!({"x": long})).contains("too long"));
    let quotes = "\"".repeat(1000);
    let doubled = format!("{{{{ x{} }}}}", "|tojson".repeat(30));
    assert!(problem(&doubled, json!({"x": quotes})).contains("too long"));
    assert!(problem("{{ x|indent(100) }}", json!({"x": long})).contains("width"));
    assert!(problem("{{ range(1000000)|length }}", json!({})).contains("at most"));
    let searched = "{% for a in range(5000) %}{% if 'y' is in(x) %}{% endif %}{% endfor %}";
    assert!(problem(searched, json!({"x": long})).contains("exceeds its bounds"));
    let numbers: Vec<u32> = (0..30_000).collect();
    let compared = "{% for a in range(5000) %}{% if x is eq(y) %}{% endif %}{% endfor %}";
    assert!(problem(compared, json!({"x": numbers, "y": numbers})).contains("exceeds its bounds"));
    let selected = "{% for a in range(5000) %}{% set z = x|select('odd') %}{% endfor %}";
    assert!(problem(selected, json!({"x": numbers})).contains("exceeds its bounds"));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn comparison_needs_a_constant_side_or_a_test() {
    for source in ["{{ a == b }}", "{{ a < b }}", "{{ 1 < a != b }}", "{{ 'x' in a }}", "{{ a not in b }}"] {
        let problem = MessageTemplate::compile(source).unwrap_err();
        assert!(problem.contains("write a is "), "{source}: {problem}");
    }
    for (source, expected) in [
        ("{{ a == 'x' }}", "True"),
        ("{{ 0 < n <= 3 }}", "True"),
        ("{{ a in ['x', 'y'] }}", "True"),
        ("{{ a not in ['y'] }}", "True"),
        ("{{ n + 1 > n }}", "True"),
        ("{{ list|length == n }}", "False"),
        ("{{ a is in(list) }}", "True"),
        ("{{ a is eq(n) }}", "False"),
        ("{{ n is lt(m) }}", "True"),
        ("{{ m is not ge(n) }}", "False"),
        ("{{ 'xyz' is startingwith(a) }}", "True"),
        ("{{ 'xyz' is endingwith(a) }}", "False"),
        ("{{ map is eq(map) }}", "True"),
    ] {
        let variables = json!({"a": "x", "n": 1, "m": 2, "list": ["x", ["y"]], "map": {"k": [1]}});
        assert_eq!(render(source, variables).unwrap(), expected, "{source}");
    }
}

#[test]
fn message_after_the_deadline_is_not_rendered() {
    let template = MessageTemplate::compile("a").unwrap();
    let ended_at = Instant::now().checked_sub(RENDER_TIMEOUT).unwrap();
    let failure = template.render(&values(json!({})), ended_at).unwrap_err();
    assert!(
        matches!(&failure, RenderFailure::Problem(problem) if problem.contains("too long")),
        "{failure:?}"
    );
}

#[test]
fn recursive_loop_ends_at_its_depth() {
    let mut tree = json!({"children": []});
    for _ in 0..100 {
        tree = json!({"children": [tree]});
    }
    let source = "{% for node in tree.children recursive %}.{{ loop(node.children) }}{% endfor %}";
    let failure = render(source, json!({"tree": tree})).unwrap_err();
    assert!(
        matches!(&failure, RenderFailure::Problem(problem) if problem.contains("can't be rendered")),
        "{failure:?}"
    );
    let shallow = json!({"children": [{"children": [{"children": []}]}]});
    assert_eq!(render(source, json!({"tree": shallow})).unwrap(), "..");
}
