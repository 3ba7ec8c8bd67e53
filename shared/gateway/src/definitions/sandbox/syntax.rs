//! The part of Jinja that templates may use, checked on the syntax tree before a template is compiled.

use std::{collections::BTreeSet, mem};

use minijinja::{
    machinery::{
        Token,
        ast::{BinOpKind, CallArg, CompareOpKind, Expr, Stmt},
        parse, tokenize,
    },
    syntax::SyntaxConfig,
};

use super::{filters, unreadable};

/// Functions that a template may call. `loop` is the engine's, in recursive loops.
pub(super) const FUNCTIONS: [&str; 2] = ["range", "loop"];
/// Limit of the names that a template binds: each may hold a value of the size of the variables.
const BINDING_MAX_COUNT: usize = 64;
/// Limit of the names and operators of one tag. Each may nest in the syntax tree, and the engine recurses over the tree.
const TAG_MAX_TOKENS: usize = 256;
/// Limit of the `elif` of a template, each of which nests in the one before.
const ELIF_MAX_COUNT: usize = 100;

/// Checks that a template stays within the allowed syntax. Returns the variables of which it uses slices: the engine's own
/// list of variables lacks them.
///
/// # Errors
/// The problem, as the predicate of a sentence about the template's text.
pub(super) fn check(source: &str) -> Result<BTreeSet<String>, String> {
    check_nesting(source)?;
    let tree = parse(source, "message", SyntaxConfig::default()).map_err(|error| unreadable(&error))?;
    let mut check = Check::default();
    check.statement(&tree)?;
    if check.bindings > BINDING_MAX_COUNT {
        return Err(format!("binds more than {BINDING_MAX_COUNT} names by set, with and for"));
    }
    Ok(check.sliced.difference(&check.bound).cloned().collect())
}

/// Checks that the syntax tree won't be too deep, before there is one: the parser doesn't limit chains of operators.
fn check_nesting(source: &str) -> Result<(), String> {
    let (mut tokens, mut elifs) = (0, 0);
    for token in tokenize(source, false, SyntaxConfig::default()) {
        // The parser finds the same error.
        let Ok((token, _)) = token else { break };
        match token {
            Token::VariableStart | Token::BlockStart => tokens = 0,
            // Text, and items of lists.
            Token::TemplateData(_)
            | Token::VariableEnd
            | Token::BlockEnd
            | Token::Comma
            | Token::Colon
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_) => {}
            token => {
                tokens += 1;
                elifs += usize::from(matches!(token, Token::Ident("elif")));
            }
        }
        if tokens > TAG_MAX_TOKENS {
            return Err(format!(
                "has more than {TAG_MAX_TOKENS} names and operators between two braces; compute parts with set first"
            ));
        }
        if elifs > ELIF_MAX_COUNT {
            return Err(format!("has more than {ELIF_MAX_COUNT} elif"));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Check {
    bindings: usize,
    /// The names that it binds anywhere.
    bound: BTreeSet<String>,
    /// The names in slices, and of what they are.
    sliced: BTreeSet<String>,
    is_in_slice: bool,
}

impl Check {
    fn statements(&mut self, statements: &[Stmt<'_>]) -> Result<(), String> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'_>) -> Result<(), String> {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => Ok(()),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::ForLoop(each) => {
                self.bindings += 1;
                self.bind(&each.target);
                self.expression(&each.iter)?;
                self.expressions(&each.filter_expr)?;
                self.statements(&each.body)?;
                self.statements(&each.else_body)
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr)?;
                self.statements(&condition.true_body)?;
                self.statements(&condition.false_body)
            }
            Stmt::WithBlock(with) => {
                self.bindings += with.assignments.len();
                with.assignments.iter().try_for_each(|(target, value)| {
                    self.bind(target);
                    self.expression(value)
                })?;
                self.statements(&with.body)
            }
            Stmt::Set(set) => {
                self.bindings += 1;
                self.bind(&set.target);
                self.expression(&set.expr)
            }
            Stmt::SetBlock(set) => {
                self.bindings += 1;
                self.bind(&set.target);
                self.expressions(&set.filter)?;
                self.statements(&set.body)
            }
            Stmt::FilterBlock(block) => {
                self.expression(&block.filter)?;
                self.statements(&block.body)
            }
            Stmt::AutoEscape(_) => Err(unavailable("autoescape", "prompts aren't HTML")),
            Stmt::Block(_) | Stmt::Extends(_) | Stmt::Include(_) | Stmt::Import(_) | Stmt::FromImport(_) => {
                Err(unavailable("include, import, extends or block", "a template stands alone"))
            }
            Stmt::Macro(_) | Stmt::CallBlock(_) => Err(unavailable("macro or call", "use for and set")),
            Stmt::Do(_) => Err(unavailable("do", "no function has an effect")),
        }
    }

    fn bind(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(name) => {
                self.bound.insert(name.id.to_owned());
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.bind(item)),
            _ => {}
        }
    }

    fn expressions<'a, 'b: 'a>(
        &mut self,
        expressions: impl IntoIterator<Item = &'a Expr<'b>>,
    ) -> Result<(), String> {
        expressions.into_iter().try_for_each(|expression| self.expression(expression))
    }

    fn expression(&mut self, expression: &Expr<'_>) -> Result<(), String> {
        match expression {
            Expr::Const(_) => Ok(()),
            Expr::Var(name) => {
                if self.is_in_slice {
                    self.sliced.insert(name.id.to_owned());
                }
                Ok(())
            }
            Expr::Slice(slice) => {
                let was_in_slice = mem::replace(&mut self.is_in_slice, true);
                self.expression(&slice.expr)?;
                self.expressions(slice.start.iter().chain(&slice.stop).chain(&slice.step))?;
                self.is_in_slice = was_in_slice;
                Ok(())
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => {
                let has_number = is_number(&operation.left) || is_number(&operation.right);
                match operation.op {
                    BinOpKind::Concat => return Err(unavailable("~", "write {{ a }}{{ b }}")),
                    BinOpKind::Mul | BinOpKind::Pow => {
                        return Err(unavailable("* and **", "compute before the call"));
                    }
                    BinOpKind::Add | BinOpKind::Sub if !has_number => {
                        return Err(unavailable(
                            "+ and - without a number, such as n + 1",
                            "write {{ a }}{{ b }}",
                        ));
                    }
                    BinOpKind::In => check_membership(&operation.right)?,
                    BinOpKind::Eq
                    | BinOpKind::Ne
                    | BinOpKind::Lt
                    | BinOpKind::Lte
                    | BinOpKind::Gt
                    | BinOpKind::Gte => check_comparison(&operation.left, &operation.right)?,
                    _ => {}
                }
                self.expression(&operation.left)?;
                self.expression(&operation.right)
            }
            Expr::Compare(compare) => {
                let mut left = &compare.expr;
                self.expression(left)?;
                for operand in &compare.ops {
                    match operand.op {
                        CompareOpKind::In | CompareOpKind::NotIn => check_membership(&operand.expr)?,
                        _ => check_comparison(left, &operand.expr)?,
                    }
                    left = &operand.expr;
                    self.expression(left)?;
                }
                Ok(())
            }
            Expr::IfExpr(condition) => {
                self.expression(&condition.test_expr)?;
                self.expression(&condition.true_expr)?;
                self.expressions(&condition.false_expr)
            }
            Expr::Filter(filter) => {
                if !filters::FILTERS.contains(&filter.name) {
                    return Err(unknown("filter", filter.name, &filters::FILTERS));
                }
                self.expressions(&filter.expr)?;
                self.arguments(&filter.args)
            }
            Expr::Test(test) => {
                if !filters::TESTS.contains(&test.name) {
                    return Err(unknown("test", test.name, &filters::TESTS));
                }
                self.expression(&test.expr)?;
                self.arguments(&test.args)
            }
            Expr::GetAttr(attribute) => self.expression(&attribute.expr),
            Expr::GetItem(item) => {
                self.expression(&item.expr)?;
                self.expression(&item.subscript_expr)
            }
            Expr::Call(call) => {
                let is_allowed = match &call.expr {
                    Expr::Var(function) => FUNCTIONS.contains(&function.id),
                    Expr::GetAttr(method) => matches!(&method.expr, Expr::Var(object) if object.id == "loop"),
                    _ => false,
                };
                if !is_allowed {
                    return Err(unavailable("functions and methods other than range", "use a filter"));
                }
                self.arguments(&call.args)
            }
            // Lists of variables would allow values whose text is exponentially longer than the variables.
            Expr::List(list) if list.items.iter().all(is_constant) => Ok(()),
            Expr::Tuple(tuple) if tuple.items.iter().all(is_constant) => Ok(()),
            Expr::Map(map) if map.keys.iter().chain(&map.values).all(is_constant) => Ok(()),
            Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {
                Err(unavailable("lists and maps of variables", "only constants may be their items"))
            }
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) -> Result<(), String> {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(expression) | CallArg::Kwarg(_, expression) => self.expression(expression),
            CallArg::PosSplat(_) | CallArg::KwargSplat(_) => {
                Err(unavailable("* and ** in arguments", "write them out"))
            }
        })
    }
}

fn is_constant(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(_) => true,
        Expr::UnaryOp(operation) => is_constant(&operation.expr),
        _ => false,
    }
}

/// Checks that a comparison has a side of little size: the engine counts it as one step, whatever the size of both.
fn check_comparison(left: &Expr<'_>, right: &Expr<'_>) -> Result<(), String> {
    if is_small(left) || is_small(right) {
        return Ok(());
    }
    let instead = "write a is eq(b), or ne, lt, le, gt, ge";
    Err(unavailable("==, !=, <, <=, > and >= of two variables", instead))
}

/// Checks that the right side of `in` is a constant list.
fn check_membership(container: &Expr<'_>) -> Result<(), String> {
    if is_constant_list(container) {
        return Ok(());
    }
    Err(unavailable("in with another right side than a list of constants", "write a is in(b)"))
}

/// True for an expression whose value is a constant, a number, or the result of a test.
fn is_small(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::BinOp(operation) => matches!(
            operation.op,
            BinOpKind::Add | BinOpKind::Sub | BinOpKind::Div | BinOpKind::FloorDiv | BinOpKind::Rem
        ),
        Expr::Filter(filter) => matches!(filter.name, "length" | "count"),
        Expr::Test(_) => true,
        other => is_constant(other) || is_constant_list(other),
    }
}

fn is_constant_list(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::List(list) => list.items.iter().all(is_constant),
        Expr::Tuple(tuple) => tuple.items.iter().all(is_constant),
        _ => false,
    }
}

fn is_number(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(constant) => constant.value.is_number(),
        _ => false,
    }
}

fn unavailable(what: &str, instead: &str) -> String {
    format!("uses {what}, which templates may not: {instead}")
}

fn unknown(kind: &str, name: &str, allowed: &[&str]) -> String {
    let name: String = name.chars().take(40).collect();
    format!("uses the {kind} {name:?}, which there is not; {kind}s: {}", allowed.join(", "))
}
