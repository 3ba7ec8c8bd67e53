//! `POST /v1/completions`: several prompts, tokens, and gaps to fill.

use hearth_tests::{Home, copy_with_fim_tokens, eventually};
use serde_json::{Value, json};

const PATH: &str = "/v1/completions";

fn texts(completion: &Value) -> Vec<(u64, String)> {
    let choice =
        |choice: &Value| (choice["index"].as_u64().unwrap(), choice["text"].as_str().unwrap().to_owned());
    completion["choices"].as_array().unwrap().iter().map(choice).collect()
}

#[tokio::test]
async fn each_prompt_of_a_list_is_completed() {
    let home = Home::start().await;
    let client = home.client();
    let ask = |prompt: Value| json!({"model": "auto", "prompt": prompt, "temperature": 0, "max_tokens": 30});
    let (france, hello) = ("What is the capital of France?", "Hello!");
    let mut expected = Vec::new();
    for (number, prompt) in (0..).zip([france, hello]) {
        let alone = client.post(PATH, &ask(json!(prompt))).await.json();
        expected.push((number, texts(&alone)[0].1.clone()));
    }
    assert!(expected[0].1.contains("Paris"), "{expected:?}");

    let mut both = ask(json!([france, hello]));
    let whole = client.post(PATH, &both).await.json();
    assert_eq!(texts(&whole), expected);

    both["stream_options"] = json!({"include_usage": true});
    both["stream"] = json!(true);
    let events = client.stream(PATH, &both).await.rest().await;
    let mut streamed = [(0, String::new()), (1, String::new())];
    let mut ended = 0;
    for event in &events {
        for choice in event.data["choices"].as_array().into_iter().flatten() {
            let index = usize::try_from(choice["index"].as_u64().unwrap()).unwrap();
            streamed[index].1.push_str(choice["text"].as_str().unwrap());
            ended += usize::from(choice["finish_reason"].is_string());
        }
    }
    assert_eq!((streamed.to_vec(), ended), (expected, 2));
    let usages: Vec<_> = events.iter().filter(|event| event.data["usage"].is_object()).collect();
    assert_eq!(usages.len(), 1);
    assert_eq!(usages[0].data["usage"]["total_tokens"], whole["usage"]["total_tokens"]);

    both["stream"] = json!(false);
    both["echo"] = json!(true);
    let echoed = client.post(PATH, &both).await.json();
    assert!(texts(&echoed)[1].1.starts_with(hello), "{echoed}");
    home.stop().await;
}

#[tokio::test]
async fn token_prompt_is_continued() {
    let home = Home::start().await;
    let client = home.client();
    let body = json!({"model": "auto", "prompt": [[5, 6, 7], [8, 9]], "max_tokens": 2});
    let whole = client.post(PATH, &body).await.json();
    assert_eq!(texts(&whole).len(), 2, "{whole}");
    assert_eq!(whole["usage"]["prompt_tokens"], 5);
    let strange = json!({"model": "auto", "prompt": [4_000_000_000_u32]});
    let error = client.post(PATH, &strange).await.error(400, "invalid_request");
    assert_eq!(error["param"], "prompt");
    home.stop().await;
}

#[tokio::test]
async fn suffix_needs_a_model_with_fill_in_the_middle_tokens() {
    let home = Home::start().await;
    let client = home.client();
    let ask = |model: &str| json!({"model": model, "prompt": "def f(", "suffix": "):", "max_tokens": 3});
    let error = client.post(PATH, &ask(&home.model)).await.error(400, "invalid_request");
    assert_eq!(error["param"], "suffix");
    assert!(error["message"].as_str().unwrap().contains("fill-in-the-middle"), "{error}");

    copy_with_fim_tokens(&home.data().join("models/filler.gguf"));
    let filled = eventually("the model that fills gaps", async || {
        let answer = client.post(PATH, &ask("filler")).await;
        (answer.status == 200).then(|| answer.json())
    });
    let filled = filled.await;
    assert_eq!(texts(&filled).len(), 1, "{filled}");
    // Three special tokens, and the text around the gap.
    assert!(filled["usage"]["prompt_tokens"].as_u64() >= Some(5), "{filled}");
    home.stop().await;
}
