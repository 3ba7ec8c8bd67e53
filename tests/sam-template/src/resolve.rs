//! Values of a template as a stack has them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Error;

/// A stack: the names of its resources, and its parameters.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Values of parameters. The others have their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Results of `Ref` for resources, by logical id, and for pseudo parameters such as `AWS::Region`.
    pub references: BTreeMap<String, String>,
    /// Results of `Fn::GetAtt`, by logical id and attribute, such as `Table.Arn`.
    pub attributes: BTreeMap<String, String>,
}

pub(crate) struct Resolver<'a> {
    pub(crate) template: &'a Value,
    pub(crate) stack: &'a Stack,
}

impl Resolver<'_> {
    pub(crate) fn value(&self, value: &Value) -> Result<Value, Error> {
        match value {
            Value::Array(items) => {
                let items: Result<Vec<Value>, Error> = items.iter().map(|item| self.value(item)).collect();
                Ok(Value::Array(items?.into_iter().filter(|item| !is_no_value(item)).collect()))
            }
            Value::Object(fields) => match function(fields) {
                Some((name, argument)) => self.call(name, argument),
                None => self.fields(fields),
            },
            other => Ok(other.clone()),
        }
    }

    fn fields(&self, fields: &Map<String, Value>) -> Result<Value, Error> {
        let mut resolved = Map::new();
        for (name, value) in fields {
            let value = self.value(value)?;
            if !is_no_value(&value) {
                resolved.insert(name.clone(), value);
            }
        }
        Ok(Value::Object(resolved))
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Value, Error> {
        let unresolved = || Error::Unresolved(format!("{name} {argument}"));
        match (name, argument) {
            ("Ref", Value::String(name)) => self.reference(name),
            ("Fn::GetAtt", Value::Array(path)) => {
                let path: Option<Vec<&str>> = path.iter().map(Value::as_str).collect();
                self.attribute(&path.ok_or_else(unresolved)?.join("."))
            }
            ("Fn::Sub", Value::String(text)) => self.substituted(text).map(Value::String),
            ("Fn::If", Value::Array(parts)) => {
                let [Value::String(condition), yes, no] = parts.as_slice() else { return Err(unresolved()) };
                self.value(if self.condition(condition)? { yes } else { no })
            }
            ("Fn::Join", Value::Array(parts)) => {
                let [Value::String(delimiter), list] = parts.as_slice() else { return Err(unresolved()) };
                // A parameter of the type CommaDelimitedList is one text here.
                match self.value(list)? {
                    Value::String(text) => Ok(json!(text.replace(',', delimiter))),
                    Value::Array(items) => {
                        let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                        Ok(json!(items.ok_or_else(unresolved)?.join(delimiter)))
                    }
                    _ => Err(unresolved()),
                }
            }
            ("Fn::Equals", Value::Array(sides)) => {
                let [left, right] = sides.as_slice() else { return Err(unresolved()) };
                Ok(json!(self.value(left)? == self.value(right)?))
            }
            ("Fn::Not", Value::Array(parts)) => {
                let [part] = parts.as_slice() else { return Err(unresolved()) };
                Ok(json!(!self.holds(part)?))
            }
            ("Fn::And", Value::Array(parts)) => {
                let parts: Result<Vec<bool>, Error> = parts.iter().map(|part| self.holds(part)).collect();
                Ok(json!(parts?.into_iter().all(|holds| holds)))
            }
            ("Fn::Or", Value::Array(parts)) => {
                let parts: Result<Vec<bool>, Error> = parts.iter().map(|part| self.holds(part)).collect();
                Ok(json!(parts?.into_iter().any(|holds| holds)))
            }
            _ => Err(unresolved()),
        }
    }

    fn condition(&self, name: &str) -> Result<bool, Error> {
        let body = self.template["Conditions"].get(name);
        self.holds(body.ok_or_else(|| Error::Unresolved(format!("the condition {name}")))?)
    }

    fn holds(&self, part: &Value) -> Result<bool, Error> {
        if let Some(name) = part.get("Condition").and_then(Value::as_str) {
            return self.condition(name);
        }
        self.value(part)?.as_bool().ok_or_else(|| Error::Unresolved(part.to_string()))
    }

    fn reference(&self, name: &str) -> Result<Value, Error> {
        if name == NO_VALUE {
            return Ok(json!({ "Ref": NO_VALUE }));
        }
        let stack = self.stack;
        if let Some(text) = stack.parameters.get(name).or_else(|| stack.references.get(name)) {
            return Ok(json!(text));
        }
        let default = &self.template["Parameters"][name]["Default"];
        match default {
            Value::Null => Err(Error::Unresolved(name.to_owned())),
            // Parameters are texts, numbers too.
            Value::Number(number) => Ok(json!(number.to_string())),
            default => Ok(default.clone()),
        }
    }

    fn attribute(&self, path: &str) -> Result<Value, Error> {
        let text = self.stack.attributes.get(path).ok_or_else(|| Error::Unresolved(path.to_owned()))?;
        Ok(json!(text))
    }

    /// Replaces `${Name}` and `${Resource.Attribute}`.
    fn substituted(&self, text: &str) -> Result<String, Error> {
        let mut parts = text.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').ok_or_else(|| Error::Unresolved(text.to_owned()))?;
            let value = if name.contains('.') { self.attribute(name)? } else { self.reference(name)? };
            whole.push_str(value.as_str().ok_or_else(|| Error::Unresolved(name.to_owned()))?);
            whole.push_str(rest);
        }
        Ok(whole)
    }
}

const NO_VALUE: &str = "AWS::NoValue";

fn is_no_value(value: &Value) -> bool {
    value["Ref"] == NO_VALUE
}

/// The intrinsic function that an object is, with its argument.
fn function(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = fields.iter().next().filter(|_| fields.len() == 1)?;
    // A statement of a policy has the field `Condition` too, but never alone.
    (name == "Ref" || name.starts_with("Fn::")).then_some((name, argument))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Template;

    const TEMPLATE: &str = "\
Parameters:
  Existing: { Type: String, Default: \"\" }
  Days: { Type: Number, Default: 30 }
Conditions:
  HasExisting: !Not [!Equals [!Ref Existing, \"\"]]
  Never: !And [!Condition HasExisting, !Equals [!Ref Days, \"31\"]]
  Either: !Or [!Condition HasExisting, !Condition Never]
Resources:
  Role:
    Properties:
      Name: !If [HasExisting, !Ref Existing, !Ref Table]
      Arns: [!GetAtt Table.Arn, !Sub \"${Table.Arn}/index/${Table}\", !If [Either, extra, !Ref AWS::NoValue]]
      Gone: !If [Never, x, !Ref AWS::NoValue]
      Joined: !Join [\"-\", [!Ref Table, b]]
      Unknown: !Ref Nothing
";

    fn resolved(field: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
        let texts = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let stack = Stack {
            parameters: texts(parameters),
            references: texts(&[("Table", "things")]),
            attributes: texts(&[("Table.Arn", "arn:things")]),
        };
        let template = Template::parse(TEMPLATE).unwrap();
        let properties = template.properties("Role").unwrap();
        template.resolve(&json!({ field: properties[field] }), &stack).map(|value| value[field].clone())
    }

    #[test]
    fn conditions_choose_and_remove_values() {
        assert_eq!(resolved("Name", &[]).unwrap(), "things");
        assert_eq!(resolved("Name", &[("Existing", "mine")]).unwrap(), "mine");
        assert_eq!(resolved("Arns", &[]).unwrap(), json!(["arn:things", "arn:things/index/things"]));
        let arns = resolved("Arns", &[("Existing", "mine")]).unwrap();
        assert_eq!(arns, json!(["arn:things", "arn:things/index/things", "extra"]));
        assert_eq!(resolved("Gone", &[("Existing", "mine")]).unwrap(), Value::Null);
        assert_eq!(resolved("Gone", &[("Existing", "mine"), ("Days", "31")]).unwrap(), "x");
        assert_eq!(resolved("Joined", &[]).unwrap(), "things-b");
    }

    #[test]
    fn unknown_name_is_an_error() {
        let error = resolved("Unknown", &[]).unwrap_err();
        assert_eq!(error.to_string(), "Nothing can't be resolved");
    }
}
