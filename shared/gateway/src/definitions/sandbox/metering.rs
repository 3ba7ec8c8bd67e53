//! Metering: adds filters to a template's source that charge the steps whose work grows with a value.
//!
//! The engine counts each of its steps as one. But it finds an item or a slice of a text by reading the text, copies the text that a
//! loop is over, and compares with a constant list of thousands of items. So the value of each such step passes a filter
//! first, which charges it. A slice is collected too: the engine would compute it again with each use.
//!
//! A capture (`{% set %}` and `{% filter %}` with a body, a recursive loop) has no limit of its own. The formatter charges what
//! expressions write into it. The template's own text is charged by the loop around it: for all items, when the loop begins.

use std::mem;

use minijinja::{
    machinery::{
        Span,
        ast::{Call, CallArg, Expr, Slice, Stmt},
        parse,
    },
    syntax::SyntaxConfig,
};

use super::{
    filters::{COLLECTED, ITEM_BYTES, METERED, METERED_WHOLE},
    unreadable,
};

/// Items of a constant list that aren't charged.
const FREE_ITEM_COUNT: usize = 16;
/// Bytes that an item of a sliced list, or a character of a sliced text, counts as.
const SLICED_ITEM_BYTES: usize = 8;

/// Adds the meters to a template's source, whose syntax is checked. Its lines stay the same.
///
/// # Errors
/// The problem, as the predicate of a sentence about the template's text.
pub(super) fn meter(source: &str) -> Result<String, String> {
    let unlimited = || "has an expression whose work can't be limited; write it in a simpler form".to_owned();
    let metered = insert(source, insertions(source)?).ok_or_else(unlimited)?;
    // The positions of the syntax tree have no stable meaning. A meter that is at another place would be missing here.
    match insertions(&metered) {
        Ok(missing) if missing.is_empty() => Ok(metered),
        _ => Err(unlimited()),
    }
}

/// A text to insert into the source.
struct Insertion {
    at: usize,
    /// True behind an expression, false before it.
    is_end: bool,
    text: String,
}

fn insert(source: &str, mut insertions: Vec<Insertion>) -> Option<String> {
    // Stable: of the ends at one place, that of the inner expression comes first.
    insertions.sort_by_key(|insertion| (insertion.at, !insertion.is_end));
    let (mut metered, mut copied) = (String::with_capacity(source.len()), 0);
    for Insertion { at, text, .. } in insertions {
        metered.push_str(source.get(copied..at)?);
        metered.push_str(&text);
        copied = at;
    }
    metered.push_str(source.get(copied..)?);
    Some(metered)
}

/// The meters that a source lacks.
fn insertions(source: &str) -> Result<Vec<Insertion>, String> {
    let tree = parse(source, "message", SyntaxConfig::default()).map_err(|error| unreadable(&error))?;
    let mut meters = Meters { source, insertions: Vec::new(), in_capture: false, iteration_bytes: 0 };
    meters.statement(&tree);
    Ok(meters.insertions)
}

struct Meters<'s> {
    source: &'s str,
    insertions: Vec<Insertion>,
    in_capture: bool,
    /// Bytes of the template's text that an iteration of the innermost loop may write into captures.
    iteration_bytes: usize,
}

impl Meters<'_> {
    fn statements(&mut self, statements: &[Stmt<'_>]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::ForLoop(each) => {
                let in_capture = self.in_capture || each.recursive;
                let iteration_bytes = captured_bytes(&each.body, in_capture);
                self.meter(&each.iter, METERED, iteration_bytes);
                self.expressions(&each.filter_expr);
                let outer_capture = mem::replace(&mut self.in_capture, in_capture);
                let outer_bytes = mem::replace(&mut self.iteration_bytes, iteration_bytes);
                self.statements(&each.body);
                (self.in_capture, self.iteration_bytes) = (outer_capture, outer_bytes);
                self.statements(&each.else_body);
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            Stmt::WithBlock(with) => {
                with.assignments.iter().for_each(|(_, value)| self.expression(value));
                self.statements(&with.body);
            }
            Stmt::Set(set) => self.expression(&set.expr),
            Stmt::SetBlock(set) => {
                self.expressions(&set.filter);
                self.capture(&set.body);
            }
            Stmt::FilterBlock(block) => {
                self.expression(&block.filter);
                self.capture(&block.body);
            }
            // Text, and statements that templates may not have.
            _ => {}
        }
    }

    fn capture(&mut self, body: &[Stmt<'_>]) {
        let outer_capture = mem::replace(&mut self.in_capture, true);
        self.statements(body);
        self.in_capture = outer_capture;
    }

    fn expressions<'a, 'b: 'a>(&mut self, expressions: impl IntoIterator<Item = &'a Expr<'b>>) {
        expressions.into_iter().for_each(|expression| self.expression(expression));
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Slice(slice) => {
                self.slice(slice);
                self.push(expression, COLLECTED, 0);
            }
            Expr::GetItem(item) => {
                // A name is looked up in a map, and no text has it.
                match &item.subscript_expr {
                    Expr::Const(name) if name.value.as_str().is_some() => self.expression(&item.expr),
                    _ => self.meter(&item.expr, METERED, 0),
                }
                self.expression(&item.subscript_expr);
            }
            Expr::Filter(filter) => {
                match (filter.name, &filter.expr) {
                    (COLLECTED, Some(Expr::Slice(slice))) => self.slice(slice),
                    (METERED, Some(list)) if is_long_list(list) => {}
                    (_, value) => self.expressions(value),
                }
                self.arguments(&filter.args);
            }
            Expr::Call(call) => self.call(call),
            Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) if is_long_list(expression) => {
                self.push(expression, METERED, ITEM_BYTES);
            }
            // The items of lists are constants.
            Expr::Var(_) | Expr::Const(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {}
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => {
                self.expression(&operation.left);
                self.expression(&operation.right);
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr);
                compare.ops.iter().for_each(|operand| self.expression(&operand.expr));
            }
            Expr::IfExpr(condition) => {
                self.expression(&condition.test_expr);
                self.expression(&condition.true_expr);
                self.expressions(&condition.false_expr);
            }
            Expr::Test(test) => {
                self.expression(&test.expr);
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => self.expression(&attribute.expr),
        }
    }

    fn slice(&mut self, slice: &Slice<'_>) {
        self.meter(&slice.expr, METERED, SLICED_ITEM_BYTES);
        self.expressions(slice.start.iter().chain(&slice.stop).chain(&slice.step));
    }

    fn call(&mut self, call: &Call<'_>) {
        match &call.expr {
            // The items of a recursion are iterations of the loop, too.
            Expr::Var(function) if function.id == "loop" => {
                let bytes = self.iteration_bytes;
                values(&call.args).for_each(|value| self.meter(value, METERED, bytes));
            }
            // It compares with the value of the iteration before.
            Expr::GetAttr(method) if method.name == "changed" => {
                values(&call.args).for_each(|value| self.meter(value, METERED_WHOLE, 0));
            }
            _ => self.arguments(&call.args),
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        values(arguments).for_each(|value| self.expression(value));
    }

    /// Has a value pass `filter`, unless it does already.
    fn meter(&mut self, value: &Expr<'_>, filter: &str, item_bytes: usize) {
        match value {
            Expr::Filter(meter) if meter.name == filter => self.expressions(&meter.expr),
            value => {
                self.expression(value);
                self.push(value, filter, item_bytes);
            }
        }
    }

    fn push(&mut self, value: &Expr<'_>, filter: &str, item_bytes: usize) {
        let text = match item_bytes {
            0 => format!(")|{filter})"),
            bytes => format!(")|{filter}({bytes}))"),
        };
        let at = start(self.source, value);
        self.insertions.push(Insertion { at, is_end: false, text: "((".to_owned() });
        self.insertions.push(Insertion { at: value.span().end_offset as usize, is_end: true, text });
    }
}

/// Bytes of the text in `statements` that may be written into captures, without the bodies of loops in it.
fn captured_bytes(statements: &[Stmt<'_>], in_capture: bool) -> usize {
    let bytes = |statement: &Stmt<'_>| match statement {
        Stmt::EmitRaw(text) if in_capture => text.raw.len(),
        Stmt::ForLoop(each) => captured_bytes(&each.else_body, in_capture),
        Stmt::IfCond(condition) => {
            let branches = [&condition.true_body, &condition.false_body];
            branches.map(|branch| captured_bytes(branch, in_capture)).into_iter().max().unwrap_or_default()
        }
        Stmt::WithBlock(with) => captured_bytes(&with.body, in_capture),
        Stmt::SetBlock(set) => captured_bytes(&set.body, true),
        Stmt::FilterBlock(block) => captured_bytes(&block.body, true),
        _ => 0,
    };
    statements.iter().map(bytes).sum()
}

fn values<'a, 'b>(arguments: &'a [CallArg<'b>]) -> impl Iterator<Item = &'a Expr<'b>> {
    arguments.iter().map(|argument| match argument {
        CallArg::Pos(value)
        | CallArg::Kwarg(_, value)
        | CallArg::PosSplat(value)
        | CallArg::KwargSplat(value) => value,
    })
}

fn is_long_list(expression: &Expr<'_>) -> bool {
    let count = match expression {
        Expr::List(list) => list.items.len(),
        Expr::Tuple(tuple) => tuple.items.len(),
        Expr::Map(map) => map.keys.len(),
        _ => 0,
    };
    count > FREE_ITEM_COUNT
}

/// The first byte of an expression, where its first operand or sign begins. An operation's own position may begin later, or with
/// the token before it.
fn start(source: &str, expression: &Expr<'_>) -> usize {
    let offset = |span: Span| span.start_offset as usize;
    match expression {
        Expr::Slice(slice) => start(source, &slice.expr),
        Expr::BinOp(operation) => start(source, &operation.left),
        Expr::Compare(compare) => start(source, &compare.expr),
        Expr::IfExpr(condition) => start(source, &condition.true_expr),
        Expr::Filter(filter) => match &filter.expr {
            Some(value) => start(source, value),
            None => offset(filter.span()),
        },
        Expr::Test(test) => start(source, &test.expr),
        Expr::GetAttr(attribute) => start(source, &attribute.expr),
        Expr::GetItem(item) => start(source, &item.expr),
        Expr::Call(call) => start(source, &call.expr),
        Expr::UnaryOp(operation) => {
            let (sign, operand) = (offset(operation.span()), start(source, &operation.expr));
            let is_sign =
                source.get(sign..).is_some_and(|rest| rest.starts_with('-') || rest.starts_with("not"));
            if is_sign { sign.min(operand) } else { operand }
        }
        Expr::Var(_) | Expr::Const(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {
            offset(expression.span())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_costly_steps_pass_a_meter() {
        for (source, metered) in [
            ("{{ x }} {{ x.y }} {{ x['y'] }}", "{{ x }} {{ x.y }} {{ x['y'] }}"),
            ("{{ x[1] }}", "{{ ((x)|metered)[1] }}"),
            ("é{{ x.y[n - 1].z }}", "é{{ ((x.y)|metered)[n - 1].z }}"),
            ("{{ x[1:] }}", "{{ ((((x)|metered(8))[1:])|collected) }}"),
            ("{{ (a or b)[:c] }}", "{{ (((((a or b)|metered(8)))[:c])|collected) }}"),
            ("{% for a in x.y if a %}-{% endfor %}", "{% for a in ((x.y)|metered) if a %}-{% endfor %}"),
            ("{% for a in -x or y %}{% endfor %}", "{% for a in ((-x or y)|metered) %}{% endfor %}"),
            ("{% for a in not x or y %}{% endfor %}", "{% for a in ((not x or y)|metered) %}{% endfor %}"),
            (
                "{% for a in x not in [1] or y %}{% endfor %}",
                "{% for a in ((x not in [1] or y)|metered) %}{% endfor %}",
            ),
            (
                "{% set x %}{% for a in b %}text{% if a %}more{% else %}-{% endif %}{% endfor %}{% endset %}",
                "{% set x %}{% for a in ((b)|metered(8)) %}text{% if a %}more{% else %}-{% endif %}{% endfor %}{% endset %}",
            ),
            (
                "{% for a in b %}out{% filter upper %}text{% endfilter %}{% endfor %}",
                "{% for a in ((b)|metered(4)) %}out{% filter upper %}text{% endfilter %}{% endfor %}",
            ),
            (
                "{% for a in b recursive %}ab{{ loop(a.b) }}{% endfor %}",
                "{% for a in ((b)|metered(2)) recursive %}ab{{ loop(((a.b)|metered(2))) }}{% endfor %}",
            ),
            ("{{ loop.changed(x, y.z) }}", "{{ loop.changed(((x)|metered_whole), ((y.z)|metered_whole)) }}"),
        ] {
            assert_eq!(meter(source).as_deref(), Ok(metered), "{source}");
        }
        let constants = |count: usize| format!("[{}]", vec!["1"; count].join(", "));
        let short = format!("{{{{ x in {} }}}}", constants(16));
        assert_eq!(meter(&short).as_ref(), Ok(&short));
        let long = meter(&format!("{{{{ x in {} }}}}", constants(17))).unwrap();
        assert_eq!(long, format!("{{{{ x in (({})|metered(64)) }}}}", constants(17)));
    }

    #[test]
    fn nested_expressions_are_metered_once_and_stay_balanced() {
        for source in [
            "{{ x[1:2][3:4][5] }}",
            "{{ ((x))[1:][0].y[::-1] }}",
            "{{ (x if y[0] else z[1:2])[2:] }}",
            "{{ (x|list)[y[0]:z[1][2]] }}",
            "{{ x[a[b[c]]:][d[1:2]] }}",
            "{{ ('a' 'b')[0] }}{{ 'ab'[1:] }}{{ (-x)[1] }}{{ ((a).b)[1:2] }}",
            "{% for a in [1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8][1:] %}{{ a }}{% else %}{{ x[1] }}{% endfor %}",
            "{%- for a in x[1:]|sort(reverse=y[0]) -%}\n {{- a is in(x[2:]) }}\n{%- endfor -%}",
        ] {
            let metered = meter(source).unwrap();
            assert_ne!(metered, source);
            assert_eq!(meter(&metered).as_ref(), Ok(&metered), "{source}");
            assert_eq!(metered.lines().count(), source.lines().count(), "{source}");
        }
    }
}
