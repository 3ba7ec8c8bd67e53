//! Settings of a Lambda function.

use crate::{Layers, Settings, SettingsError, variable::PREFIX};

/// Variables that only the functions have.
const VARIABLES: [&str; 13] = [
    "TABLE",
    "BUCKET",
    "SECRET",
    "PROVIDER_KEYS",
    "KMS_KEY",
    "AUDIT_BUCKET",
    "ALLOW_PRIVATE_NODES",
    "CLOUDWATCH_METRICS",
    "SOCKET_ENDPOINT",
    "SOCKET_URL",
    "JOB_QUEUE_HIGH",
    "JOB_QUEUE",
    "JOB_QUEUE_LOW",
];

/// The settings of a function: the names of its stores, and all that it has in common with `hearth up`.
#[derive(Debug, Clone)]
pub struct CloudSettings {
    /// Name of the DynamoDB table.
    pub table: String,
    /// Name of the S3 bucket.
    pub bucket: String,
    /// Name of the secret that the gateway's keys are derived from.
    pub secret: String,
    /// Name of the secret with the providers' keys.
    pub provider_keys: String,
    /// ARN of the key of KMS that wraps the data keys of stored secrets. Empty: no secret can be sealed.
    pub kms_key: String,
    /// Name of the bucket with locked copies of the audit log. Empty: there is none.
    pub audit_bucket: String,
    /// Allow nodes with private addresses.
    pub allow_private_nodes: bool,
    /// Write the metrics of requests and runs for CloudWatch.
    pub cloudwatch_metrics: bool,
    /// Address by which messages are sent over the WebSocket API's sockets, `https://...`. Empty: there are no sockets.
    pub socket_endpoint: String,
    /// Address to which nodes and clients connect, `wss://...`. Empty: the one of `socket_endpoint`.
    pub socket_url: String,
    /// Addresses of the queues of jobs, of high, normal and low priority. Empty: jobs wait for the function `sweep`.
    pub job_queues: [String; 3],
    /// The settings in common with `hearth up`.
    pub settings: Settings,
    /// The texts that the settings were read from.
    pub layers: Layers,
}

impl CloudSettings {
    /// Reads the process' environment.
    ///
    /// # Errors
    /// A missing or unknown variable, or a value that can't be read or is out of bounds.
    pub fn from_process() -> Result<Self, SettingsError> {
        Self::from_layers(Layers::from_environment()?)
    }

    /// Reads these variables.
    ///
    /// # Errors
    /// As of [`CloudSettings::from_process`].
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        Self::from_layers(Layers::from_variables(variables))
    }

    /// Names the variables that only the functions have.
    #[must_use]
    pub fn own_variables() -> Vec<String> {
        VARIABLES.iter().map(|name| format!("{PREFIX}{name}")).collect()
    }

    fn from_layers(mut layers: Layers) -> Result<Self, SettingsError> {
        let [
            table,
            bucket,
            secret,
            provider_keys,
            kms_key,
            audit_bucket,
            private_nodes,
            cloudwatch_metrics,
            socket_endpoint,
            socket_url,
            queue_high,
            queue_normal,
            queue_low,
        ] = VARIABLES.map(|name| layers.take(name));
        let required = |name: &str, value: Option<String>| {
            value.ok_or_else(|| SettingsError::new(format!("the variable {PREFIX}{name} must be set")))
        };
        let [
            table_name,
            bucket_name,
            secret_name,
            provider_keys_name,
            _,
            _,
            private_nodes_name,
            cloudwatch_metrics_name,
            ..,
        ] = VARIABLES;
        let settings = layers.read()?;
        layers.check(&settings)?;
        // The environment of a function is visible to every reader of its configuration.
        if let Some((name, _)) = settings.providers.iter().find(|(_, provider)| provider.api_key.is_some()) {
            return Err(layers.locate(&format!(
                "providers.{name}.api_key: a function's environment may have no key; store it with `hearth key set \
                 {name}`"
            )));
        }
        if settings.traces.headers.is_some() {
            return Err(layers.locate(
                "traces.headers: a function's environment may have no key; send the spans to a collector in an \
                 extension, which adds it (docs/tracing.md)",
            ));
        }
        if settings.notifications.smtp.password.is_some() {
            return Err(layers.locate(
                "notifications.smtp.password: a function's environment may have no password; use a relay without one, \
                 Slack or PagerDuty (docs/webhooks.md)",
            ));
        }
        Ok(Self {
            table: required(table_name, table)?,
            bucket: required(bucket_name, bucket)?,
            secret: required(secret_name, secret)?,
            provider_keys: required(provider_keys_name, provider_keys)?,
            kms_key: kms_key.unwrap_or_default(),
            audit_bucket: audit_bucket.unwrap_or_default(),
            allow_private_nodes: flag(private_nodes_name, private_nodes.as_deref())?,
            cloudwatch_metrics: flag(cloudwatch_metrics_name, cloudwatch_metrics.as_deref())?,
            socket_endpoint: socket_endpoint.unwrap_or_default(),
            socket_url: socket_url.unwrap_or_default(),
            job_queues: [queue_high, queue_normal, queue_low].map(Option::unwrap_or_default),
            settings,
            layers,
        })
    }
}

/// Reads a variable that is true or false, and false if it isn't set.
fn flag(name: &str, value: Option<&str>) -> Result<bool, SettingsError> {
    match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(SettingsError::new(format!("the variable {PREFIX}{name} must be true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CacheSettings;

    const NAMES: [(&str, &str); 4] = [
        ("HEARTH_TABLE", "t"),
        ("HEARTH_BUCKET", "b"),
        ("HEARTH_SECRET", "s"),
        ("HEARTH_PROVIDER_KEYS", "k"),
    ];

    fn read(variables: &[(&str, &str)]) -> Result<CloudSettings, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CloudSettings::from_variables(variables).map_err(|error| error.to_string())
    }

    fn read_with(name: &str, value: &str) -> Result<CloudSettings, String> {
        read(&[NAMES.as_slice(), &[(name, value)]].concat())
    }

    #[test]
    fn variables_have_the_names_of_home() {
        let cloud = read(
            &[
                NAMES.as_slice(),
                &[
                    ("HEARTH_ALLOW_PRIVATE_NODES", "true"),
                    ("HEARTH_CLOUDWATCH_METRICS", "true"),
                    ("HEARTH_ARTIFACT_LINK_SECONDS", "60"),
                    ("HEARTH_ANSWER_MAX_BYTES", "100000"),
                    ("HEARTH_CACHE__ENABLED", "true"),
                    ("HEARTH_CACHE__TTL_SECONDS", "60"),
                    ("HEARTH_ROUTING", r#"{"aliases": {"fast": ["groq:llama", "openai:gpt"]}}"#),
                    ("HEARTH_MODELS", r#"{"openai:gpt-5.x": {"context_length": 7}}"#),
                ],
            ]
            .concat(),
        )
        .unwrap();
        assert!(
            cloud.allow_private_nodes
                && cloud.cloudwatch_metrics
                && cloud.table == "t"
                && cloud.provider_keys == "k"
        );
        let settings = &cloud.settings;
        assert_eq!(settings.aliases["fast"].targets.len(), 2);
        assert_eq!(settings.models["openai:gpt-5.x"].context_length, Some(7));
        let gateway = settings.gateway();
        assert_eq!((gateway.artifact_link_seconds, gateway.answer_max_bytes), (60, 100_000));
        assert_eq!(
            gateway.cache,
            CacheSettings { enabled: true, ttl_seconds: 60, ..CacheSettings::default() }
        );
    }

    #[test]
    fn variables_of_an_identity_provider_complete_its_json() {
        let rules = r#"{"cognito": {"rules": [{"claim": "cognito:groups", "value": "a", "role": "admin"}]}}"#;
        let variables = [
            ("HEARTH_IDENTITY_PROVIDERS", rules),
            ("HEARTH_IDENTITY_PROVIDERS__COGNITO__ISSUER", "https://cognito-idp.eu-west-1.amazonaws.com/p"),
            ("HEARTH_IDENTITY_PROVIDERS__COGNITO__CLIENT_ID", "123456"),
            ("HEARTH_IDENTITY_PROVIDERS__COGNITO__ROLE", "viewer"),
        ];
        let settings = read(&[NAMES.as_slice(), &variables].concat()).unwrap().settings;
        let provider = &settings.identity_providers["cognito"];
        assert_eq!((provider.rules.len(), provider.client_id.as_deref()), (1, Some("123456")));
        assert!(provider.issuer.starts_with("https://cognito-idp.") && provider.role.is_some());
    }

    #[test]
    fn missing_name_is_an_error() {
        assert!(read(&NAMES).is_ok());
        assert_eq!(read(&NAMES[1..]).unwrap_err(), "the variable HEARTH_TABLE must be set");
    }

    #[test]
    fn invalid_variable_is_named() {
        for (name, value, problem) in [
            ("HEARTH_CACHE__SHARED", "maybe", "HEARTH_CACHE__SHARED: "),
            ("HEARTH_CACHE__MEMORY_MB", "lots", "HEARTH_CACHE__MEMORY_MB: "),
            ("HEARTH_CACHE_TTL_SECONDS", "1", "did you mean HEARTH_CACHE__TTL_SECONDS?"),
            (
                "HEARTH_CACHE__TTL_SECONDS",
                "0",
                "HEARTH_CACHE__TTL_SECONDS: cache.ttl_seconds must be 1 to 2592000",
            ),
            (
                "HEARTH_ARTIFACT_LINK_SECONDS",
                "2592001",
                "HEARTH_ARTIFACT_LINK_SECONDS: artifact_link_seconds must be",
            ),
            ("HEARTH_TRACES__HEADERS", "x-key=1", "HEARTH_TRACES__HEADERS: traces.headers: a function"),
            ("HEARTH_TRACES__SAMPLER", "jaeger_remote", "HEARTH_TRACES__SAMPLER: "),
            ("HEARTH_ALLOW_PRIVATE_NODES", "yes", "HEARTH_ALLOW_PRIVATE_NODES must be true or false"),
            ("HEARTH_CLOUDWATCH_METRICS", "1", "HEARTH_CLOUDWATCH_METRICS must be true or false"),
            ("HEARTH_ROUTING", "{", "HEARTH_ROUTING: it is not valid JSON"),
            ("HEARTH_ROUTING", r#"{"alias": {}}"#, "HEARTH_ROUTING: there is no setting `alias` here"),
            ("HEARTH_ROUTING", r#"{"aliases": {"a": []}}"#, "HEARTH_ROUTING: aliases.a"),
            ("HEARTH_MODELS", r#"{"x:y": {"prize": 1}}"#, "HEARTH_MODELS: there is no setting `prize` here"),
        ] {
            let error = read_with(name, value).unwrap_err();
            assert!(error.contains(problem), "{name}={value} gave {error:?}");
        }
    }

    #[test]
    fn key_in_the_environment_is_refused_and_not_shown() {
        let routing = r#"{"providers": {"openai": {"api_key": "sk-secret"}}}"#;
        let error = read_with("HEARTH_ROUTING", routing).unwrap_err();
        assert!(error.contains("hearth key set openai") && !error.contains("sk-secret"), "{error}");
    }
}
