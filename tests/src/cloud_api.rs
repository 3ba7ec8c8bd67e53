//! The cloud's API over HTTP: API Gateway's emulator in front of all functions, by the template of this repository.

use std::{collections::BTreeMap, path::Path};

use lambda_emulator::{ApiGateway, FunctionProgram, MediaTypes, Placement};
use sam_template::{Route, Template};

use crate::{Cloud, binary};

impl Cloud {
    /// Serves the API of the template, with functions that are started at their first requests.
    ///
    /// # Panics
    /// If the template can't be read, or there is no port.
    pub async fn api(&self, placement: Placement) -> ApiGateway {
        self.api_with(placement, &[]).await
    }

    /// The same with further variables of each function, which override the others.
    ///
    /// # Panics
    /// As [`Self::api`].
    pub async fn api_with(&self, placement: Placement, variables: &[(&str, &str)]) -> ApiGateway {
        serve_api(placement, |name| {
            let mut env = self.function_env(name);
            env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            env
        })
        .await
    }
}

/// Serves the API of the template, with functions that are started at their first requests. `env`: the variables of a function
/// such as `hearth-fn-generate`.
///
/// # Panics
/// If the template can't be read, or there is no port.
pub async fn serve_api(placement: Placement, env: impl Fn(&str) -> Vec<(String, String)>) -> ApiGateway {
    let template = template();
    let mut programs = BTreeMap::new();
    for Route { function, .. } in template.routes() {
        let name = format!("hearth-fn-{}", function.trim_end_matches("Function").to_lowercase());
        let program = FunctionProgram { binary: binary(&name), env: env(&name) };
        programs.insert(function, program);
    }
    let api = ApiGateway::serve(&template, placement, programs).await;
    api.unwrap_or_else(|error| panic!("the API: {error}"))
}

/// The binary media types of the template's API.
pub(crate) fn binary_media_types() -> MediaTypes {
    MediaTypes::of_template(
        &template().properties("Api").unwrap_or_else(|| panic!("no API"))["BinaryMediaTypes"],
    )
}

/// The template of this repository, as it is now.
pub(crate) fn template() -> Template {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Template::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
