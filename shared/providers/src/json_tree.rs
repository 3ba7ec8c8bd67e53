//! JSON trees of request bodies.
//!
//! A body quotes the request: the texts of its messages, the schemas of its tools. A tree of [`Value`]s would copy them, and give
//! each message a table of its names. This tree borrows.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// JSON value of a body.
#[derive(Debug, Clone)]
pub(crate) enum Json<'a> {
    Text(Cow<'a, str>),
    /// A value of the request.
    Borrowed(&'a Value),
    /// A value that is made for the body. In a box, since nearly all values of a body are texts, and smaller.
    Owned(Box<Value>),
    List(Vec<Self>),
    Object(Object<'a>),
}

/// Fields of an object, in order, each name once. There are few, so that a search is fast.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

/// Creates an [`Object`]: `object!{"type": "text", "text": text}`.
macro_rules! object {
    ($($name:literal: $value:expr),+ $(,)?) => {
        $crate::json_tree::Object::from([$(($name, $crate::json_tree::Json::from($value))),+])
    };
}
pub(crate) use object;

impl<'a> Object<'a> {
    pub(crate) fn fields(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        &self.0
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Json<'a>> {
        self.0.iter_mut().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Sets a field, in place of the value that it has.
    pub(crate) fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Json<'a>>) {
        let (name, value) = (name.into(), value.into());
        match self.get_mut(&name) {
            Some(own) => *own = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets a field, unless the object has it.
    pub(crate) fn set_missing(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Json<'a>>) {
        let name = name.into();
        if self.get(&name).is_none() {
            self.0.push((name, value.into()));
        }
    }

    /// Sets a field to a value, if there is one.
    pub(crate) fn set_some<T: Into<Json<'a>>>(&mut self, name: &'static str, value: Option<T>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<Json<'a>> {
        let at = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Part of a tree, in either form.
#[derive(Clone, Copy)]
enum Part<'b> {
    Tree(&'b Json<'b>),
    Value(&'b Value),
}

impl<'a> Json<'a> {
    pub(crate) fn null() -> Self {
        Value::Null.into()
    }

    /// Returns the text at a path of names.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Part::Tree(Json::Text(text)) => Some(text),
            Part::Value(value) => value.as_str(),
            Part::Tree(_) => None,
        }
    }

    /// True if the value at a path of names is `true`.
    pub(crate) fn is_true_at(&self, path: &[&str]) -> bool {
        matches!(self.at(path), Some(Part::Value(Value::Bool(true))))
    }

    /// True if there is a value at a path of names.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        self.at(path).is_some()
    }

    /// Returns the number of an object's fields.
    pub(crate) fn field_count(&self) -> Option<usize> {
        match Part::Tree(self).plain() {
            Part::Tree(Json::Object(object)) => Some(object.0.len()),
            Part::Value(value) => value.as_object().map(Map::len),
            Part::Tree(_) => None,
        }
    }

    fn at(&self, path: &[&str]) -> Option<Part<'_>> {
        let root = Part::Tree(self).plain();
        path.iter().try_fold(root, |part, name| match part {
            Part::Tree(Json::Object(object)) => object.get(name).map(|value| Part::Tree(value).plain()),
            Part::Value(value) => value.get(*name).map(Part::Value),
            Part::Tree(_) => None,
        })
    }

    /// Returns the fields of an object, for changes.
    pub(crate) fn object_mut(&mut self) -> Option<&mut Object<'a>> {
        self.expand();
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Returns the values of a list, for changes.
    pub(crate) fn list_mut(&mut self) -> Option<&mut Vec<Self>> {
        self.expand();
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// Returns the values of a list.
    pub(crate) fn into_list(mut self) -> Option<Vec<Self>> {
        self.expand();
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// Returns the fields of an object.
    pub(crate) fn into_object(mut self) -> Option<Object<'a>> {
        self.expand();
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The value as a provider reads it.
    #[cfg(test)]
    pub(crate) fn to_value(&self) -> Value {
        serde_json::from_slice(&crate::json_body::serialize(self)).unwrap()
    }

    /// Converts a [`Value`] that is a list or an object to a tree of one level.
    fn expand(&mut self) {
        *self = match std::mem::replace(self, Self::List(Vec::new())) {
            Self::Borrowed(Value::Object(fields)) => Object::from(fields).into(),
            Self::Borrowed(Value::Array(values)) => values.iter().collect(),
            Self::Owned(value) => match *value {
                Value::Object(fields) => Object::from(fields).into(),
                Value::Array(values) => values.into_iter().collect(),
                scalar => scalar.into(),
            },
            other => other,
        };
    }
}

impl<'b> Part<'b> {
    /// The part as a [`Value`], if it is one.
    fn plain(self) -> Self {
        match self {
            Self::Tree(Json::Borrowed(value)) => Self::Value(value),
            Self::Tree(Json::Owned(value)) => Self::Value(value),
            other => other,
        }
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Json<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Json<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Json<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

/// `None` is null.
impl<'a, T: Into<Self>> From<Option<T>> for Json<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Self::null, Into::into)
    }
}

impl<'a> From<&'a Value> for Json<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Borrowed(value)
    }
}

impl From<Value> for Json<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => text.into(),
            value => Self::Owned(value.into()),
        }
    }
}

impl<'a> From<Object<'a>> for Json<'a> {
    fn from(object: Object<'a>) -> Self {
        Self::Object(object)
    }
}

impl<'a, T: Into<Self>> From<Vec<T>> for Json<'a> {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<'a, T: Into<Self>> FromIterator<T> for Json<'a> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<'a, const N: usize> From<[(&'a str, Json<'a>); N]> for Object<'a> {
    fn from(fields: [(&'a str, Json<'a>); N]) -> Self {
        Self(fields.map(|(name, value)| (name.into(), value)).into())
    }
}

impl<'a> From<&'a Map<String, Value>> for Object<'a> {
    fn from(fields: &'a Map<String, Value>) -> Self {
        Self(fields.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl From<Map<String, Value>> for Object<'_> {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

macro_rules! from_scalars {
    ($($scalar:ty)*) => {$(
        impl From<$scalar> for Json<'_> {
            fn from(value: $scalar) -> Self {
                Self::Owned(Value::from(value).into())
            }
        }
    )*};
}

from_scalars! { bool i32 u32 i64 u64 f64 }

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_unique_and_in_order() {
        let mut object = object! {"a": 1u32, "b": "text"};
        object.set("a", true);
        object.set_missing("b", "other");
        object.set_missing("c", None::<&str>);
        object.set_some("d", None::<bool>);
        let names: Vec<&str> = object.fields().iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(object.remove("b").is_some() && object.remove("b").is_none());
        assert_eq!(Json::from(object).to_value(), json!({"a": true, "c": null}));
    }

    #[test]
    fn values_are_found_and_changed_in_every_form() {
        let value = json!({"text": {"type": "x", "strict": true, "list": [1]}});
        let inner = object! {"type": "x", "strict": true, "list": Json::from_iter([1u32])};
        for json in [Json::from(&value), value.clone().into(), object! {"text": inner}.into()] {
            assert_eq!(json.to_value(), value);
            assert_eq!(json.field_count(), Some(1));
            assert_eq!(json.text_at(&["text", "type"]), Some("x"));
            assert!(json.is_true_at(&["text", "strict"]) && json.has(&["text", "list"]));
            assert!(!json.is_true_at(&["text", "type"]) && !json.has(&["text", "type", "x"]));
            assert_eq!((json.text_at(&["text"]), json.has(&["other"])), (None, false));
            let mut object = json.into_object().unwrap();
            let text = object.get_mut("text").and_then(Json::object_mut).unwrap();
            text.get_mut("list").and_then(Json::list_mut).unwrap().push("y".into());
            text.remove("type");
            assert_eq!(Json::from(object).to_value(), json!({"text": {"strict": true, "list": [1, "y"]}}));
        }
    }
}
