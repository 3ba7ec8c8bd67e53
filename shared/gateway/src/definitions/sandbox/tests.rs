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
    for (source, variables) in [
        (
            "{% set x = a %}{% for b in c %}{{ b }}{{ x }}{{ loop.index }}{% endfor %}{{ range(2)|join }}{{ d.e }}",
            &["a", "c", "d"][..],
        ),
        (
            "{% for b, c in a[1:] %}{{ b[:2] }}{{ c.x[d:] }}{% endfor %}{{ e.f[0][:g[1:]] }}",
            &["a", "d", "e", "g"],
        ),
    ] {
        let template = MessageTemplate::compile(source).unwrap();
        assert_eq!(template.variables.iter().map(String::as_str).collect::<Vec<_>>(), variables);
    }
}

#[test]
fn missing_field_is_named_with_advice() {
    let problem = problem("Dear\n{{ customer.name }}", json!({"customer": {"title": "Dr"}}));
    assert!(problem.starts_with("uses the field customer.name that"), "{problem}");
    assert!(problem.contains("(line 2)") && problem.contains("is defined"), "{problem}");
    assert!(!problem.contains("shorter"), "{problem}");
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
fn captured_text_is_charged() {
    let text = "x".repeat(60 << 10);
    for source in [
        format!("{{% set x %}}{{% for a in range(10000) %}}{text}{{% endfor %}}{{% endset %}}"),
        format!("{{% for a in range(10000) %}}{{% set x %}}{text}{{% endset %}}{{% endfor %}}"),
        format!("{{% filter upper %}}{{% for a in range(10000) %}}{text}{{% endfor %}}{{% endfilter %}}"),
        format!(
            "{{% set x %}}{{% for a in range(2000) %}}{{% for b in [] %}}{{% else %}}{text}{{% endfor %}}{{% endfor %}}{{% endset %}}"
        ),
        format!("{{% for a in tree recursive %}}{text}{{% set x = loop(range(10000)) %}}{{% endfor %}}"),
    ] {
        let problem = problem(&source, json!({"tree": [1]}));
        assert!(problem.contains("too much work"), "{}: {problem}", source.replace(&text, "..."));
    }
    let letter = "{% set x %}Dear {{ name }},{% for a in range(1000) %} line {{ a }}{% endfor %}{% endset %}{{ x|length }}";
    assert_eq!(render(letter, json!({"name": "Ada"})).unwrap(), "8899");
}

#[test]
fn printed_lists_are_charged_by_their_length() {
    let long = "x".repeat(250 << 10);
    let captured = "{% set y %}{% for a in range(10000) %}{{ x }}{% endfor %}{% endset %}";
    assert!(problem(captured, json!({"x": [long]})).contains("exceeds its bounds"));
    // A list of the same text, many times.
    let repeated = format!("[{}]|map('d', x, true)", vec!["0"; 20_000].join(","));
    for filter in ["string|length", "tojson|length", "join|length", "sort|length", "unique|length"] {
        let problem = problem(&format!("{{{{ {repeated}|{filter} }}}}"), json!({"x": long}));
        assert!(problem.contains("exceeds its bounds"), "{filter}: {problem}");
    }
    assert_eq!(render("{{ x }} {{ x|string }}", json!({"x": [1, 2]})).unwrap(), "[1, 2] [1, 2]");
}

#[test]
fn steps_whose_work_grows_with_a_value_are_charged() {
    let began = Instant::now();
    let (long, list) = ("x".repeat(250 << 10), vec![0; 30_000]);
    let in_loop = |statement: &str| format!("{{% for a in range(10000) %}}{statement}{{% endfor %}}");
    for statement in [
        "{% set y = x[::-1] %}",
        "{% set y = x[1:] %}",
        "{% set y = x[-1] %}",
        "{% for b in x %}{% break %}{% endfor %}",
        "{% set y = list[1:] %}",
        "{% set y = list|reverse %}{% set z = y[0] %}",
        "{% if loop.changed(list) %}{% endif %}",
        "{% set y = x|list %}",
        "{% set y = 'a'|replace(x, 'b') %}",
    ] {
        let problem = problem(&in_loop(statement), json!({"x": long, "list": list}));
        assert!(problem.contains("exceeds its bounds"), "{statement}: {problem}");
    }
    let constants = vec!["1"; 20_000].join(",");
    let searched = in_loop(&format!("{{% if a in [{constants}] %}}{{% endif %}}"));
    assert!(problem(&searched, json!({})).contains("exceeds its bounds"));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn slices_and_items_are_those_of_the_engine() {
    let variables = || json!({"x": "abcdef", "list": [1, 2, 3, 4], "map": {"k": [5, 6]}, "n": 1});
    for (source, expected) in [
        ("{{ x[1:3] }}|{{ x[::-1] }}|{{ x[-2] }}|{{ x[n] }}", "bc|fedcba|e|b"),
        ("{{ list[1:] }}|{{ list[::2]|join }}|{{ list[:2][0] }}|{{ list[-1] }}", "[2, 3, 4]|13|1|4"),
        ("{{ map['k'][n:] }}|{{ map.k[0] }}|{{ (list or map)[n:3]|length }}", "[6]|5|2"),
        ("{% for a in list[n:]|reverse if a > 2 %}{{ loop.index }}{{ a }}{% endfor %}", "1423"),
        ("{% for a in x[4:] %}{{ a }}{% if loop.changed(a) %}!{% endif %}{% endfor %}", "e!f!"),
        ("{{ x[0] is defined }}{{ list[9] is defined }}{{ map.z is defined }}", "TrueFalseFalse"),
    ] {
        assert_eq!(render(source, variables()).unwrap(), expected, "{source}");
    }
    assert_eq!(
        render("{% for a in list[1:] %}{{ a[missing:] }}{% endfor %}{{ missing[1:] }}", json!({"list": []}))
            .unwrap_err(),
        RenderFailure::Undefined("missing".to_owned())
    );
}

#[test]
fn deep_syntax_is_refused_before_it_is_parsed() {
    for source in [
        format!("{{{{ x{} }}}}", "|d".repeat(30_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(30_000)),
        format!("{{{{ x{} }}}}", "[1:]".repeat(15_000)),
        format!("{{{{ x{} }}}}", " and x".repeat(10_000)),
        format!("{{{{ {}x }}}}", "not ".repeat(15_000)),
        format!("{{{{ {}x }}}}", "-".repeat(60_000)),
        format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(5_000)),
    ] {
        let problem = MessageTemplate::compile(&source).unwrap_err();
        assert!(problem.contains("has more than"), "{}: {problem}", &source[..20]);
    }
    let choices = "{% elif a == 'x' %}-".repeat(100);
    let source = format!("{{% if a %}}{choices}{{% endif %}}{{{{ x{} }}}}", "|d".repeat(100));
    assert!(MessageTemplate::compile(&source).is_ok());
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
