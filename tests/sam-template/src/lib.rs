//! Reads a SAM template: its routes, and its values as a stack with given parameters has them.

#![warn(missing_docs)]

mod resolve;
mod yaml;

use serde_json::{Map, Value};

pub use resolve::Stack;

/// A reason why a template can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML, or has a part that isn't supported.
    #[error("the template can't be read: {0}")]
    Yaml(String),
    /// A value can't be resolved.
    #[error("{0} can't be resolved")]
    Unresolved(String),
}

/// A SAM template.
#[derive(Debug, Clone)]
pub struct Template(Value);

/// A path of the API that a function serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The path with its parameters, such as `/v1/models/{proxy+}`.
    pub path: String,
    /// The method, in upper case; `ANY` for all of them.
    pub method: String,
    /// Logical id of the function, such as `ModelsFunction`.
    pub function: String,
    /// `ResponseTransferMode`. `RESPONSE_STREAM` streams; without one the response is buffered.
    pub transfer_mode: Option<String>,
    /// `TimeoutInMillis`.
    pub timeout_ms: Option<u64>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// If the text is no YAML, or has anchors.
    pub fn parse(text: &str) -> Result<Self, Error> {
        yaml::read(text).map(Self)
    }

    /// The whole template, with intrinsic functions in their long form.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The properties of a resource.
    #[must_use]
    pub fn properties(&self, logical_id: &str) -> Option<&Value> {
        self.0["Resources"].get(logical_id)?.get("Properties")
    }

    /// The functions' logical ids and properties.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.resources_of("AWS::Serverless::Function")
    }

    /// The logical ids and properties of the resources of a type.
    pub fn resources_of(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        let resources = self.0["Resources"].as_object().into_iter().flatten();
        resources
            .filter(move |(_, resource)| resource["Type"] == kind)
            .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
    }

    /// The routes of all functions, in the paths' order.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let mut routes = Vec::new();
        for (function, properties) in self.functions() {
            let events = properties["Events"].as_object().into_iter().flat_map(Map::values);
            for event in events.filter(|event| event["Type"] == "Api") {
                let event = &event["Properties"];
                let text = |name: &str| event[name].as_str().map(str::to_owned);
                routes.push(Route {
                    path: text("Path").unwrap_or_default(),
                    method: text("Method").unwrap_or_default().to_uppercase(),
                    function: function.to_owned(),
                    transfer_mode: text("ResponseTransferMode"),
                    timeout_ms: event["TimeoutInMillis"].as_u64(),
                });
            }
        }
        routes.sort();
        routes
    }

    /// The value as the stack has it: without intrinsic functions.
    ///
    /// # Errors
    /// If the stack lacks a name in it, or it has a function that isn't supported.
    pub fn resolve(&self, value: &Value, stack: &Stack) -> Result<Value, Error> {
        resolve::Resolver { template: &self.0, stack }.value(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_have_function_and_mode() {
        let text = "\
Resources:
  Api: { Type: AWS::Serverless::Api }
  ChatFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Sweep: { Type: Schedule, Properties: { Schedule: rate(5 minutes) } }
        Chat:
          Type: Api
          Properties: { Path: /chat, Method: any, ResponseTransferMode: RESPONSE_STREAM, TimeoutInMillis: 900000 }
  ListFunction:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        List: { Type: Api, Properties: { Path: /a, Method: GET } }
";
        let routes = Template::parse(text).unwrap().routes();
        let route = |path: &str, method: &str, function: &str| Route {
            path: path.to_owned(),
            method: method.to_owned(),
            function: function.to_owned(),
            transfer_mode: None,
            timeout_ms: None,
        };
        let chat = Route {
            transfer_mode: Some("RESPONSE_STREAM".to_owned()),
            timeout_ms: Some(900_000),
            ..route("/chat", "ANY", "ChatFunction")
        };
        assert_eq!(routes, [route("/a", "GET", "ListFunction"), chat]);
    }
}
