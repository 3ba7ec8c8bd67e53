//! The model of the property test: a map in memory with the semantics of the seam.

use std::collections::BTreeMap;

use hearth_store::database::{Condition, Created, Index, Item, Key, Query, Sort, Write};
use serde_json::{Map, Value};

/// The table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model(BTreeMap<Key, Item>);

impl Model {
    pub(crate) fn get(&self, key: &Key) -> Option<Item> {
        self.0.get(key).cloned()
    }

    /// All items, in the order of their keys.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item> {
        self.0.values().cloned()
    }

    /// Executes all writes or none. Returns whether all conditions held.
    pub(crate) fn transact(&mut self, writes: &[Write]) -> bool {
        let held = writes.iter().all(|write| self.holds(write));
        if held {
            writes.iter().for_each(|write| self.apply(write));
        }
        held
    }

    /// Returns the items of all pages of a query.
    pub(crate) fn query(&self, query: &Query) -> Vec<Item> {
        let place = |item: &Item| match query.index {
            None => Some(item.key.clone()),
            Some(Index::Gsi1) => item.gsi1.clone(),
            Some(Index::Gsi2) => item.gsi2.clone(),
        };
        let is_in = |place: &Key| {
            place.pk == query.pk
                && match &query.sort {
                    Sort::All => true,
                    Sort::Prefix(prefix) => place.sk.starts_with(prefix.as_str()),
                    Sort::Between(from, to) => *from <= place.sk && place.sk <= *to,
                }
        };
        let mut found: Vec<(Key, Item)> =
            self.0.values().filter_map(|item| Some((place(item).filter(is_in)?, item.clone()))).collect();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        if query.descending {
            found.reverse();
        }
        found.into_iter().map(|(_, item)| item).collect()
    }

    fn holds(&self, write: &Write) -> bool {
        let (key, condition, must_exist) = match write {
            Write::Put(item, condition) => (&item.key, condition, false),
            Write::Update(key, _, condition) => (key, condition, true),
            Write::Delete(key, condition) => (key, condition, false),
        };
        let item = self.0.get(key);
        let must_exist =
            must_exist && !matches!(write, Write::Update(_, update, _) if update.create.is_some());
        condition_holds(item, condition) && (item.is_some() || !must_exist)
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Put(item, _) => drop(self.0.insert(item.key.clone(), item.clone())),
            Write::Delete(key, _) => drop(self.0.remove(key)),
            Write::Update(key, update, _) => {
                let empty = |created: Created| Item {
                    key: key.clone(),
                    gsi1: None,
                    gsi2: None,
                    ttl: created.ttl,
                    version: created.version,
                    body: "{}".to_owned(),
                    bytes: None,
                };
                if let Some(created) = update.create {
                    let item = self.0.entry(key.clone()).or_insert_with(|| empty(created));
                    (item.version, item.ttl) = (created.version, created.ttl.or(item.ttl));
                }
                let Some(item) = self.0.get_mut(key) else { return };
                let mut fields = fields(item);
                update.remove.iter().for_each(|name| drop(fields.remove(*name)));
                fields.extend(update.set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
                for (name, number) in &update.add {
                    let sum = fields.get(*name).map_or(0, |field| field.as_i64().unwrap()) + number;
                    fields.insert((*name).to_owned(), sum.into());
                }
                item.body = Value::Object(fields).to_string();
                for index in &update.leave {
                    match index {
                        Index::Gsi1 => item.gsi1 = None,
                        Index::Gsi2 => item.gsi2 = None,
                    }
                }
            }
        }
    }
}

/// Returns whether a condition holds for an item.
fn condition_holds(item: Option<&Item>, condition: &Condition) -> bool {
    let field = |name: &str| fields(item?).get(name).cloned();
    match condition {
        Condition::Always => true,
        Condition::Absent => item.is_none(),
        Condition::Exists => item.is_some(),
        Condition::AttributeEquals(name, text) => field(name) == Some(Value::String(text.clone())),
        Condition::AttributeIn(name, texts) => {
            field(name).is_some_and(|value| value.as_str().is_some_and(|text| texts.contains(&text)))
        }
        Condition::AttributeAbsent(name) => field(name).is_none(),
        Condition::VersionEquals(version) => item.is_some_and(|item| item.version == *version),
        Condition::NumberAtMost(name, most) => field(name).is_none_or(|value| {
            value.as_f64().is_some_and(|number| number <= f64::from(i32::try_from(*most).unwrap()))
        }),
        Condition::All(conditions) => conditions.iter().all(|condition| condition_holds(item, condition)),
    }
}

fn fields(item: &Item) -> Map<String, Value> {
    serde_json::from_str(&item.body).unwrap()
}
