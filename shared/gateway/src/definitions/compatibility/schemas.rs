//! Comparison of two JSON Schemas, keyword by keyword.

use std::{
    cell::OnceCell,
    cmp::Ordering,
    collections::{BTreeSet, HashSet},
    ptr,
};

use hearth_domain::VersionChange;
use serde_json::{Map, Value};

use super::{
    Comparison,
    keywords::{
        DEPTH_MAX, EMPTY, LOWER_BOUNDS, UPPER_BOUNDS, all_stay, has_reference, is_annotation, is_compared,
        is_everything, is_no_bound, kind, list, number, properties, reference, resolve, stripped, types,
        values,
    },
};
use crate::definitions::diff::child;

/// Largest number of pairs of schemas that one comparison looks at. A schema of the largest size has fewer.
const PAIRS_MAX_COUNT: usize = 50_000;

/// Compares two whole schemas. `path`: the place of the schemas in their contents.
pub(super) fn compare_schemas(path: &str, before: &Value, after: &Value, comparison: &mut Comparison) {
    if before == after {
        return;
    }
    comparison.note(VersionChange::Patch);
    let mut walk = Walk {
        roots: (before, after),
        roots_say_the_same: OnceCell::new(),
        seen: BTreeSet::new(),
        pairs_left: PAIRS_MAX_COUNT,
        comparison,
    };
    walk.schema(path, before, after, 0);
}

struct Walk<'a, 'b> {
    roots: (&'a Value, &'a Value),
    /// True if the roots differ in annotations alone. It is computed once: the roots are whole documents.
    roots_say_the_same: OnceCell<bool>,
    /// Pairs with a reference that are compared, or are being compared.
    seen: BTreeSet<(SchemaKey<'a>, SchemaKey<'a>)>,
    pairs_left: usize,
    comparison: &'b mut Comparison,
}

/// Identifies a schema of one of two documents.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum SchemaKey<'a> {
    Reference(&'a str),
    Constant(bool),
    Address(*const Value),
}

impl<'a> SchemaKey<'a> {
    fn of(schema: &'a Value) -> Self {
        match (reference(schema), schema) {
            (Some(reference), _) => Self::Reference(reference),
            (None, Value::Bool(fits)) => Self::Constant(*fits),
            (None, _) => Self::Address(ptr::from_ref(schema)),
        }
    }
}

impl<'a> Walk<'a, '_> {
    fn schema(&mut self, path: &str, before: &'a Value, after: &'a Value, depth: usize) {
        let Some(pairs_left) = self.pairs_left.checked_sub(1) else { return };
        self.pairs_left = pairs_left;
        if pairs_left == 0 {
            return self.comparison.breaks(path, "the schemas are too complex to be compared");
        }
        if is_everything(after) {
            if !is_everything(before) {
                self.comparison.note(VersionChange::Minor);
            }
            return;
        }
        // Equal schemas may have references that lead to different definitions.
        if before == after && !has_reference(before) {
            return;
        }
        if depth > DEPTH_MAX {
            return self.comparison.breaks(path, "it is nested too deep to be compared");
        }
        // A definition may refer to itself several times, also where the other side is no reference.
        let has_definition = reference(before).is_some() || reference(after).is_some();
        if has_definition && !self.seen.insert((SchemaKey::of(before), SchemaKey::of(after))) {
            return;
        }
        let (Some(resolved_before), Some(resolved_after)) =
            (resolve(self.roots.0, before), resolve(self.roots.1, after))
        else {
            if before != after {
                self.comparison.breaks(path, "its reference has changed, and can't be followed");
            }
            return;
        };
        match (resolved_before, resolved_after) {
            (Value::Bool(false), _) => self.comparison.note(VersionChange::Minor),
            (_, Value::Bool(false)) => self.comparison.breaks(path, "nothing fits it any more"),
            (Value::Object(before), Value::Object(after)) => self.keywords(path, before, after, depth),
            (_, Value::Object(after)) => self.keywords(path, &EMPTY, after, depth),
            _ => {}
        }
    }

    fn keywords(
        &mut self,
        path: &str,
        before: &'a Map<String, Value>,
        after: &'a Map<String, Value>,
        depth: usize,
    ) {
        self.types(path, before, after);
        self.enumeration(path, before, after);
        self.bounds(path, before, after);
        self.objects(path, before, after, depth);
        self.lists(path, before, after, depth);
        self.combinations(path, before, after, depth);
        for (name, value) in after.iter().filter(|(name, _)| !is_compared(name)) {
            if before.get(name) != Some(value) {
                let place = child(path, name);
                self.comparison.breaks(&place, format!("{name} has changed, and can't be compared"));
            }
        }
        let is_removed = |name: &String| !after.contains_key(name) && !is_annotation(name);
        if before.keys().any(is_removed) {
            self.comparison.note(VersionChange::Minor);
        }
    }

    fn types(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let (from, to) = (types(before), types(after));
        let Some(to) = to else { return };
        let Some(from) = from else {
            let fits = |value: &&Value| {
                to.contains(kind(value)) || (kind(value) == "integer" && to.contains("number"))
            };
            // An enumeration may have values of these types alone.
            if !values(before).is_some_and(|values| values.iter().all(fits)) {
                self.comparison.breaks(path, format!("it must be {} now", list(&to)));
            }
            return;
        };
        let accepts = |kind: &str| to.contains(kind) || (kind == "integer" && to.contains("number"));
        let lost: Vec<&str> = from.iter().copied().filter(|kind| !accepts(kind)).collect();
        if !lost.is_empty() {
            let problem = format!("the type {} is no longer accepted", list(&lost));
            self.comparison.breaks(path, problem);
        } else if from.len() != to.len() || from != to {
            self.comparison.note(VersionChange::Minor);
        }
    }

    fn enumeration(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let (from, to) = (values(before), values(after));
        let Some(to) = to else { return };
        match from {
            None => self.comparison.breaks(path, "only some values are accepted now"),
            Some(from) => {
                let accepted: HashSet<&Value> = to.iter().copied().collect();
                let lost: Vec<String> = from
                    .iter()
                    .filter(|value| !accepted.contains(*value))
                    .take(5)
                    .map(ToString::to_string)
                    .collect();
                if !lost.is_empty() {
                    self.comparison.breaks(path, format!("no longer accepted: {}", lost.join(", ")));
                } else if from.len() != to.len() {
                    self.comparison.note(VersionChange::Minor);
                }
            }
        }
    }

    fn bounds(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let sides = LOWER_BOUNDS.map(|name| (name, Ordering::Greater));
        for (name, tighter) in sides.into_iter().chain(UPPER_BOUNDS.map(|name| (name, Ordering::Less))) {
            let Some(to) = after.get(name) else { continue };
            let order = match before.get(name) {
                _ if is_no_bound(name, to) => continue,
                Some(from) if from == to => continue,
                Some(from) => number(to).zip(number(from)).and_then(|(to, from)| to.partial_cmp(&from)),
                None => Some(tighter),
            };
            match order {
                Some(Ordering::Equal) => {}
                Some(order) if order != tighter => self.comparison.note(VersionChange::Minor),
                _ => self.comparison.breaks(&child(path, name), format!("{name} is {to} now")),
            }
        }
        if let Some(to) = after.get("multipleOf").filter(|to| before.get("multipleOf") != Some(*to)) {
            let quotient =
                before.get("multipleOf").and_then(number).zip(number(to)).map(|(from, to)| from / to);
            if quotient.is_none_or(|quotient| (quotient - quotient.round()).abs() > f64::EPSILON) {
                self.comparison
                    .breaks(&child(path, "multipleOf"), format!("only multiples of {to} are accepted now"));
            } else {
                self.comparison.note(VersionChange::Minor);
            }
        }
        if after.get("pattern").is_some_and(|to| before.get("pattern") != Some(to)) {
            self.comparison.breaks(&child(path, "pattern"), "the pattern is another one");
        }
        if after.get("format").is_some_and(|to| before.get("format") != Some(to)) {
            self.comparison
                .warns(&child(path, "format"), "the format is another one; formats aren't validated");
        }
        if after.get("uniqueItems") == Some(&Value::Bool(true))
            && before.get("uniqueItems") != Some(&Value::Bool(true))
        {
            self.comparison.breaks(&child(path, "uniqueItems"), "equal items are no longer accepted");
        }
        if before.get("uniqueItems") == Some(&Value::Bool(true))
            && after.get("uniqueItems") != Some(&Value::Bool(true))
        {
            self.comparison.note(VersionChange::Minor);
        }
    }

    fn objects(
        &mut self,
        path: &str,
        before: &'a Map<String, Value>,
        after: &'a Map<String, Value>,
        depth: usize,
    ) {
        let required = |schema: &'a Map<String, Value>| -> BTreeSet<&'a str> {
            schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect()
        };
        let (needed, needs) = (required(before), required(after));
        for name in needs.difference(&needed) {
            let problem = format!("{name:?} is required now: earlier ones may lack it");
            self.comparison.breaks(&child(path, "required"), problem);
        }
        if needed.difference(&needs).next().is_some() {
            self.comparison.note(VersionChange::Minor);
        }
        let (from, to) = (properties(before), properties(after));
        let open_before = before.get("additionalProperties").unwrap_or(&Value::Bool(true));
        let open_after = after.get("additionalProperties").unwrap_or(&Value::Bool(true));
        let place = child(path, "properties");
        for (name, schema) in from {
            match to.get(name) {
                Some(other) => self.schema(&child(&place, name), schema, other, depth + 1),
                None if *open_after == Value::Bool(false) && !after.contains_key("patternProperties") => {
                    self.comparison.breaks(&place, format!("{name:?} is no longer accepted"));
                }
                None if is_everything(open_after) => self.comparison.note(VersionChange::Minor),
                None => self.schema(&child(path, "additionalProperties"), schema, open_after, depth + 1),
            }
        }
        for (name, schema) in to.iter().filter(|(name, _)| !from.contains_key(*name)) {
            self.comparison.note(VersionChange::Minor);
            if is_everything(schema) || *open_before == Value::Bool(false) {
                continue;
            }
            let problem = format!(
                "{name:?} is new: earlier ones that have another value of this name, which was allowed, don't fit"
            );
            self.comparison.warns(&place, problem);
        }
        if open_before != open_after {
            let place = child(path, "additionalProperties");
            match open_after {
                Value::Bool(false) if before.contains_key("additionalProperties") => {
                    self.comparison.breaks(&place, "other properties are no longer accepted");
                }
                Value::Bool(false) => {
                    let problem = "other properties, which were allowed, are no longer accepted";
                    self.comparison.warns(&place, problem);
                }
                _ => self.schema(&place, open_before, open_after, depth + 1),
            }
        }
    }

    fn lists(
        &mut self,
        path: &str,
        before: &'a Map<String, Value>,
        after: &'a Map<String, Value>,
        depth: usize,
    ) {
        if let Some(to) = after.get("items") {
            let place = child(path, "items");
            match (before.get("items"), to) {
                // The list of schemas of earlier drafts.
                (from, Value::Array(_)) if from != Some(to) => {
                    self.comparison.breaks(&place, "items has changed, and can't be compared");
                }
                (Some(from @ Value::Array(_)), to) if from != to => {
                    self.comparison.breaks(&place, "items has changed, and can't be compared");
                }
                (from, to) => self.schema(&place, from.unwrap_or(&Value::Bool(true)), to, depth + 1),
            }
        }
        let prefix = |schema: &'a Map<String, Value>| {
            schema.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
        };
        let rest = before.get("items").unwrap_or(&Value::Bool(true));
        for (index, to) in prefix(after).iter().enumerate() {
            let place = format!("{}/{index}", child(path, "prefixItems"));
            self.schema(&place, prefix(before).get(index).unwrap_or(rest), to, depth + 1);
        }
        let rest = after.get("items").unwrap_or(&Value::Bool(true));
        for (index, from) in prefix(before).iter().enumerate().skip(prefix(after).len()) {
            self.schema(&format!("{}/{index}", child(path, "prefixItems")), from, rest, depth + 1);
        }
    }

    fn combinations(
        &mut self,
        path: &str,
        before: &'a Map<String, Value>,
        after: &'a Map<String, Value>,
        depth: usize,
    ) {
        for name in ["anyOf", "oneOf", "allOf"] {
            let (from, to) = (before.get(name), after.get(name));
            let place = child(path, name);
            match (from.and_then(Value::as_array), to.and_then(Value::as_array)) {
                (_, None) => {}
                // A value that fits two of them fits none: a wider one is no compatible one.
                (Some(_), Some(_)) if name == "oneOf" && self.says_the_same(from, to) => {}
                (Some(from), Some(to)) if name != "oneOf" && from.len() == to.len() => {
                    for (index, (from, to)) in from.iter().zip(to).enumerate() {
                        self.schema(&format!("{place}/{index}"), from, to, depth + 1);
                    }
                }
                // Another alternative accepts more, if the earlier ones are all there.
                (Some(from), Some(to)) if name == "anyOf" && all_stay(from, to) => {
                    self.comparison.note(VersionChange::Minor);
                }
                (Some(from), Some(to)) if name == "allOf" && all_stay(to, from) => {
                    self.comparison.note(VersionChange::Minor);
                }
                _ => self.comparison.breaks(&place, format!("{name} has changed, and can't be compared")),
            }
        }
    }
}

impl Walk<'_, '_> {
    /// True if two lists of schemas differ in annotations alone, and so do the definitions to which they may refer.
    fn says_the_same(&self, from: Option<&Value>, to: Option<&Value>) -> bool {
        let (before, after) = self.roots;
        let refers = from.is_some_and(has_reference);
        let roots_say_the_same = || {
            *self.roots_say_the_same.get_or_init(|| differ_in_annotations_alone(Some(before), Some(after)))
        };
        differ_in_annotations_alone(from, to) && (!refers || roots_say_the_same())
    }
}

/// True if two schemas, or lists of them, differ in annotations alone.
fn differ_in_annotations_alone(from: Option<&Value>, to: Option<&Value>) -> bool {
    from.map(|value| stripped(value, false)) == to.map(|value| stripped(value, false))
}
