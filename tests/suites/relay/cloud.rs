//! A node of a cloud stack: the functions' own processes behind the API and the sockets of their template.

use hearth_tests::{
    Client, Cloud,
    relay::{
        NodeProcess, RelayStream, enrolment_code, history, long_request, reference_text, wait_for_model,
    },
};
use lambda_emulator::Placement;

use crate::{MODEL, TOKENS};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_enrols_by_a_code_serves_a_streamed_answer_of_the_cloud() {
    let (cloud, text) = tokio::join!(Cloud::start_without_node(), reference_text(TOKENS));
    let api = cloud.api(Placement::Stage("prod".to_owned())).await;
    let client = Client::new(&api.url(), Some(&cloud.token));
    let code = enrolment_code(&client).await;
    let mut node = NodeProcess::enroll(&api.url(), &code, &[]).await;
    node.start().await;
    wait_for_model(&client, MODEL).await;
    for _ in 0..2 {
        let stream = RelayStream::open(&client, &long_request(MODEL, TOKENS)).await;
        let answer = stream.unwrap_or_else(|answer| panic!("{answer:?}")).rest().await;
        answer.assert_whole(&text);
        let record = history(&client, &answer.id).await;
        assert_eq!(
            (&record["status"], &record["output"]["text"]),
            (&"completed".into(), &text.clone().into())
        );
    }
    node.stop().await;
}
