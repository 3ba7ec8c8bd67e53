use super::*;
use crate::Sampler;

fn layers(toml: &str, variables: &[(&str, &str)]) -> Layers {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Layers { file: Some(("hearth.toml".into(), toml.to_owned())), ..Layers::from_variables(variables) }
}

fn read(toml: &str) -> Result<Settings, SettingsError> {
    let layers = layers(toml, &[]);
    let settings = layers.read()?;
    layers.check(&settings).map(|()| settings)
}

#[test]
fn variables_replace_the_file_and_secrets_are_hidden() {
    let toml =
        "port = 99\ntoken = 'hth_s3cret'\n[node]\nslots = 2\n[providers.openai]\napi_key = 'sk-s3cret'\n";
    let settings =
        layers(toml, &[("HEARTH_PORT", "1234"), ("HEARTH_HUB__TOKEN", "hf_s3cret")]).read().unwrap();
    assert_eq!((settings.port, settings.node.slots), (1234, 2));
    let shown = settings.to_toml().unwrap();
    assert!(shown.contains("slots = 2") && !shown.contains("s3cret"), "{shown}");
    assert!(!format!("{settings:?}").contains("s3cret"));
}

#[test]
fn settings_have_the_same_names_in_json_variables() {
    let json = r#"{"fallbacks": {"a": ["b"]}, "providers": {"a.b": {"temperature": 0.5}}}"#;
    let settings = layers("[aliases]\nfast = 'x'\n", &[("HEARTH_ROUTING", json)]).read().unwrap();
    assert!(settings.aliases.contains_key("fast") && settings.fallbacks.contains_key("a"));
    assert_eq!(settings.providers["a.b"].temperature, Some(0.5));
}

#[test]
fn default_of_the_hub_comes_from_its_own_variable() {
    let defaults = vec![("hub.url", "https://mirror.example".to_owned())];
    let url = |toml: &str| Layers { defaults: defaults.clone(), ..layers(toml, &[]) }.read().unwrap().hub.url;
    assert_eq!(url(""), "https://mirror.example");
    assert_eq!(url("[hub]\nurl = 'https://own.example'\n"), "https://own.example");
}

#[test]
fn standard_variables_of_traces_are_defaults() {
    let defaults = vec![
        ("traces.endpoint", "http://collector:4318".to_owned()),
        ("traces.sampler", "parentbased_always_off".to_owned()),
        ("traces.sample_ratio", "0.25".to_owned()),
    ];
    let read = |toml: &str| Layers { defaults: defaults.clone(), ..layers(toml, &[]) }.read().unwrap().traces;
    let traces = read("[traces]\nendpoint = 'http://own:4318'\n");
    assert_eq!((traces.endpoint.as_deref(), traces.sample_ratio), (Some("http://own:4318"), 0.25));
    assert_eq!(traces.sampler, Sampler::ParentAlwaysOff);
    assert_eq!(read("").endpoint.as_deref(), Some("http://collector:4318"));
}

#[test]
fn size_is_a_number_or_has_a_unit() {
    for (size, bytes) in [("'20GB'", 20_000_000_000), ("'1.5 GiB'", 3 << 29), ("1000", 1000)] {
        let settings = read(&format!("[storage]\nmax_bytes = {size}\nkeep_days = 30\n")).unwrap();
        assert_eq!(settings.storage.max_bytes.unwrap().as_u64(), bytes, "{size}");
        assert_eq!(settings.storage.keep_days, Some(30));
        assert!(settings.to_toml().unwrap().contains(&format!("max_bytes = {bytes}")));
    }
}

#[test]
fn shown_settings_can_be_read_again() {
    let toml = "[models.'rig:qwen3.5-Mini*']\ncontext_length = 32768\nprice = {input = 0.1, output = 3}\n\
                [aliases]\nfast = ['a', 'b']\n[[selection.rules]]\nwords = ['code']\nmodel = 'fast'\n";
    let settings = read(toml).unwrap();
    let again = read(&settings.to_toml().unwrap()).unwrap();
    assert_eq!(again.models, settings.models);
    assert_eq!(again.aliases, settings.aliases);
    assert_eq!(again.selection.rules, settings.selection.rules);
    assert_eq!(again.to_toml().unwrap(), settings.to_toml().unwrap());
}

#[test]
fn invalid_setting_is_named_with_its_place() {
    for (toml, words) in [
        ("prot = 1", "prot"),
        ("durability = 'none'", "durability"),
        ("[node]\nslots = 0", "node.slots"),
        ("[node]\nstall_seconds = 1", "node.stall_seconds must be 3"),
        ("[node]\nidle_seconds = 0", "node.idle_seconds"),
        ("[node]\nidle_minutes = 5", "idle_minutes"),
        ("[node]\nworker_memory = '1GB'", "node.worker_memory"),
        ("[server]\nhead_seconds = 0", "server.head_seconds"),
        ("[server]\nbody_memory = '1MB'", "server.body_memory"),
        ("[server]\nheads = 1", "heads"),
        ("port = 'x'", "port"),
        ("[storage]\nmax_bytes = 'lots'", "storage.max_bytes"),
        ("[storage]\nmax_bytes = 0", "storage.max_bytes"),
        ("[storage]\nkeep_days = 0", "storage.keep_days"),
        ("[aliases]\nfast = []", "aliases.fast"),
        ("[selection]\nstrategy = 'best'", "best"),
        ("[[selection.rules]]\nwords = ['code']", "selection.rules[0].model"),
        ("[models.'openai:gpt-5']\nprize = 1", "prize"),
        ("[models.'openai:gpt-5.1']\nprice = {input = -1}", "dollars"),
        ("[cache]\nttl_seconds = 0", "cache.ttl_seconds must be 1"),
        ("[cache]\nttl = 5", "ttl"),
        ("=", "hearth.toml"),
        ("\nprot = 1", "hearth.toml, line 2: there is no setting `prot` here; did you mean `port`?"),
        ("[node]\ncontxt = 1", "line 2: there is no setting `contxt` here; did you mean `context_length`?"),
        ("[node]\n\nslots = 0", "hearth.toml, line 3: node.slots must be"),
        ("port = 'x'", "hearth.toml, line 1: "),
    ] {
        let error = read(toml).unwrap_err().to_string();
        assert!(error.contains(words), "{toml:?} gave {error:?}");
    }
}
