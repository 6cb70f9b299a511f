//! Crawls over HTTP: jobs, and the first system's path.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Caller, SEED, config, send};
use crate::support::app::App;
use crate::support::site::Site;

const SUCCESS: &str = r#"{"statusCode":200,"body":"Link processed successfully"}"#;

async fn cancel(caller: &Caller, location: &str) -> Answer {
    send(caller.request(Method::DELETE, location)).await
}

/// The job when it has ended; it is polled as its clients do.
async fn ended(caller: &Caller, location: &str) -> Value {
    loop {
        let job = caller.get(location).await.good();
        if job["state"] == "done" || job["state"] == "failed" {
            return job;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_is_a_job_that_is_polled_to_its_end() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let app = App::start_with(config(data.path())).await;
    let caller = Caller::of(data.path());
    let order = json!({"user": " Ada  Lovelace", "link": site.link("/held")});
    let accepted = caller.post("/v1/crawl", &order).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let location = accepted.header("location").to_owned();
    site.is_asked().await;
    let job = caller.get(&location).await.good();
    assert_eq!(
        (&job["state"], &job["user"]),
        (&json!("running"), &json!("Ada Lovelace"))
    );
    site.release();
    let job = ended(&caller, &location).await;
    assert_eq!(
        (&job["state"], &job["counts"]["saved"]),
        (&json!("done"), &json!(1)),
        "{job}"
    );
    assert!(
        job["asked_at"].as_str().unwrap() <= job["ended_at"].as_str().unwrap(),
        "{job}"
    );
    // It is found as what a command crawls is.
    loop {
        let found = caller.get("/v1/search?q=analytical%20engine").await.good();
        if found["hits"][0]["title"] == "Held" {
            break;
        }
    }
    // One that fails says why, and one that nobody asked for is not known.
    let order = json!({"user": "Ada", "link": site.link("/nothing")});
    let accepted = caller.post("/v1/crawl", &order).await;
    let job = ended(&caller, accepted.header("location")).await;
    assert_eq!(
        (&job["state"], &job["counts"]),
        (&json!("failed"), &Value::Null),
        "{job}"
    );
    assert!(
        job["reason"].as_str().unwrap().contains("/nothing"),
        "{job}"
    );
    let unknown = "/v1/crawl/00000000-0000-4000-8000-000000000000";
    caller.get(unknown).await.problem(404);
    caller.get("/v1/crawl/1").await.problem(404);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_crawl_that_is_cancelled_is_over_when_that_is_answered() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let mut config = config(data.path());
    config.serve.crawls_at_once = 1;
    let app = App::start_with(config).await;
    let caller = Caller::of(data.path());
    let order = json!({"user": "Ada", "link": site.link("/held")});
    let accepted = caller.post("/v1/crawl", &order).await;
    let location = accepted.header("location").to_owned();
    site.is_asked().await;
    let job = cancel(&caller, &location).await.good();
    assert_eq!(job["state"], "cancelled", "{job}");
    assert!(
        job["started_at"].is_string() && job["ended_at"].is_string(),
        "{job}"
    );
    assert_eq!(
        (&job["counts"], &job["reason"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(caller.get(&location).await.good(), job);
    let late = cancel(&caller, &location).await.problem(409);
    assert!(late.contains("ended already"), "{late}");
    // The turn is free, and so is the link: nobody is told that it is being crawled.
    let again = caller.post("/v1/crawl", &order).await;
    site.is_asked().await;
    // The site may not have noticed yet that nobody waits for its first answer.
    site.release();
    site.release();
    let job = ended(&caller, again.header("location")).await;
    assert_eq!(
        (&job["state"], &job["counts"]["saved"]),
        (&json!("done"), &json!(1)),
        "{job}"
    );
    let late = cancel(&caller, again.header("location")).await;
    late.problem(409);
    for unknown in ["00000000-0000-4000-8000-000000000000", "1"] {
        let answer = cancel(&caller, &format!("/v1/crawl/{unknown}")).await;
        assert!(answer.problem(404).contains(unknown));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_crawl_that_is_cancelled_asks_nobody() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let mut config = config(data.path());
    (config.serve.crawls_at_once, config.serve.crawls_waiting_max) = (1, 1);
    let app = App::start_with(config).await;
    let caller = Caller::of(data.path());
    let ask = async |path: &str| {
        let order = json!({"user": "Ada", "link": site.link(path)});
        caller.post("/v1/crawl", &order).await
    };
    let first = ask("/held").await;
    site.is_asked().await;
    // It would ask for the same page.
    let second = ask("/held?again").await;
    ask("/open").await.problem(429);
    let job = cancel(&caller, second.header("location")).await.good();
    assert_eq!(
        (&job["state"], &job["started_at"]),
        (&json!("cancelled"), &Value::Null),
        "{job}"
    );
    // Its place in the queue is free.
    let third = ask("/open").await;
    site.release();
    for job in [&first, &third] {
        let job = ended(&caller, job.header("location")).await;
        assert_eq!(job["state"], "done", "{job}");
    }
    assert_eq!(site.held_count(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_and_no_private_address_is_crawled_for_others() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    // Without a host that is allowed.
    let app = App::start(data.path()).await;
    let caller = Caller::of(data.path());
    for link in ["/etc/passwd", "file:///etc/passwd", "book", ""] {
        let order = json!({"user": "Ada", "link": link});
        caller.post("/v1/crawl", &order).await.problem(400);
        let answer = caller.post(SEED, &order).await.good();
        assert_eq!(answer["statusCode"], 500, "{answer}");
    }
    caller
        .post(
            "/v1/crawl",
            &json!({"user": " ", "link": site.link("/open")}),
        )
        .await
        .problem(400);
    let endless = json!({"user": "Ada".repeat(100), "link": site.link("/held")});
    let told = caller.post("/v1/crawl", &endless).await.problem(400);
    let answer = caller.post(SEED, &endless).await.good();
    assert_eq!(answer["body"], format!("An error occurred: {told}"));
    let order = json!({"user": "Ada", "link": site.link("/held")});
    let accepted = caller.post("/v1/crawl", &order).await;
    let job = ended(&caller, accepted.header("location")).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert_eq!(site.held_count(), 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_systems_clients_work_unchanged_where_they_are_let_in() {
    let (data, site) = (tempfile::tempdir().unwrap(), Site::start().await);
    let mut config = config(data.path());
    config.serve.seed_clients = true;
    let app = App::start_with(config).await;
    // As `curl -X POST -d '…'` sends it: no token, and a form's media type.
    let stranger = Caller::of(data.path()).with(None);
    let invoke = |body: String| {
        let form = "application/x-www-form-urlencoded";
        let request = stranger
            .request(Method::POST, SEED)
            .header("content-type", form);
        request.body(body)
    };
    let event = |user: &str, path: &str| json!({"user": user, "link": site.link(path)}).to_string();
    let answer = send(invoke(event("Paul Iusztin", "/open"))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (200, SUCCESS)
    );
    let answer = send(invoke(event("Paul Iusztin", "/nothing"))).await.good();
    assert_eq!(answer["statusCode"], 500, "{answer}");
    let why = answer["body"].as_str().unwrap();
    assert!(
        why.starts_with("An error occurred: ") && why.contains("/nothing"),
        "{why}"
    );
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    // What the function did not catch.
    for (body, kind, message) in [
        (
            json!({"link": "https://example.org"}).to_string(),
            "ImproperlyConfigured",
            "User name is empty",
        ),
        (
            json!({"user": "Ada"}).to_string(),
            "TypeError",
            "expected string",
        ),
        (
            "{".to_owned(),
            "Runtime.UnmarshalError",
            "Unable to unmarshal input",
        ),
    ] {
        let answer = send(invoke(body)).await.good();
        assert_eq!(answer["errorType"], kind, "{answer}");
        assert!(
            answer["errorMessage"]
                .as_str()
                .unwrap()
                .starts_with(message),
            "{answer}"
        );
        assert!(
            answer["requestId"].is_string() && answer["stackTrace"].is_array(),
            "{answer}"
        );
    }
    // A web page in a browser is no such client, and the rest of the API stays shut.
    let page = invoke(event("Ada", "/open")).header("origin", "https://example.org");
    send(page).await.problem(403);
    stranger.get("/v1/authors").await.problem(401);
    let authors = Caller::of(data.path()).get("/v1/authors").await.good();
    assert_eq!(authors["authors"][0]["name"], "Paul Iusztin", "{authors}");
    app.stop().await;
}
