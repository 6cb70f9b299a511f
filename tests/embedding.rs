//! Embedding with a service: what it may do to us, and what becomes of it.

mod program;

use std::sync::Arc;
use std::time::Duration;

use lockstep::clock::Clock;
use lockstep::feature::embed::Embedder;
use lockstep::feature::embed::http::{HttpEmbedder, HttpOptions, Protocol};
use lockstep::{Error, Recovery, Result};
use tokio::sync::Barrier;
use tokio::time::Instant;

use crate::support::embedding::{DIMENSION, EmbeddingServer, Trouble};

const PROTOCOLS: [Protocol; 3] = [Protocol::OpenAi, Protocol::Tei, Protocol::Ollama];

async fn open(options: HttpOptions) -> Result<HttpEmbedder> {
    HttpEmbedder::open(options, Clock::manual(1_700_000_000_000)).await
}

/// An embedder whose waiting costs no time from now on.
async fn opened(server: &EmbeddingServer, protocol: Protocol) -> HttpEmbedder {
    let embedder = open(server.options(protocol)).await.unwrap();
    tokio::time::pause();
    embedder
}

fn texts(count: usize) -> Vec<String> {
    let text = |number| format!("text number {number} of the texts");
    (0..count).map(text).collect()
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_whether_told_in_seconds_or_as_a_date() {
    // The second is half a minute after the manual clock.
    for (after, least) in [("7", 7), ("Tue, 14 Nov 2023 22:13:50 GMT", 30)] {
        let server = EmbeddingServer::start().await;
        let embedder = opened(&server, Protocol::OpenAi).await;
        server.known(|known| known.script = [Trouble::Status(429, Some(after))].into());
        let begun = Instant::now();
        embedder.embed(texts(1)).await.unwrap();
        let took = begun.elapsed();
        let least = Duration::from_secs(least);
        assert!(
            took >= least && took < least + Duration::from_secs(1),
            "{took:?}"
        );
        assert_eq!(embedder.usage().requests, 3);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn what_passes_changes_nothing() {
    for protocol in PROTOCOLS {
        for trouble in [
            Trouble::Status(500, None),
            Trouble::Status(503, Some("1")),
            Trouble::Status(424, None),
            Trouble::Few,
            Trouble::NoNumber,
            Trouble::Cut,
        ] {
            let server = EmbeddingServer::start().await;
            let embedder = opened(&server, protocol).await;
            let wanted = embedder.embed(texts(3)).await.unwrap();
            let before = embedder.usage().requests;
            server.known(|known| known.script = [trouble.clone()].into());
            let found = embedder.embed(texts(3)).await;
            assert_eq!(found.unwrap(), wanted, "{protocol:?} {trouble:?}");
            assert_eq!(embedder.usage().requests, before + 2, "{trouble:?}");
            tokio::time::resume();
        }
    }
}

#[tokio::test]
async fn an_outage_is_told_and_tried_again_later() {
    let server = EmbeddingServer::start().await;
    let hasty = HttpOptions {
        timeout: Some(Duration::from_mins(1)),
        ..server.options(Protocol::Tei)
    };
    let hasty = open(hasty).await.unwrap();
    let patient = opened(&server, Protocol::Tei).await;
    for (embedder, trouble, told) in [
        (&hasty, Trouble::Never, "longer than model.timeout_seconds"),
        (&patient, Trouble::Status(502, None), "502"),
        (&patient, Trouble::Status(429, Some("3600")), "asks to wait"),
    ] {
        server.known(|known| known.script = std::iter::repeat_n(trouble, 9).collect());
        let error = embedder.embed(texts(2)).await.unwrap_err();
        assert!(matches!(error.recovery(), Recovery::Retry(_)), "{error}");
        assert!(error.chain().contains(told), "{}", error.chain());
    }
}

#[tokio::test]
async fn one_text_that_is_not_taken_harms_no_other() {
    for protocol in PROTOCOLS {
        let server = EmbeddingServer::start().await;
        let embedder = opened(&server, protocol).await;
        server.known(|known| {
            known.refused.insert("forbidden");
            known.breaks.insert("poison");
        });
        for word in ["forbidden", "poison"] {
            let mut mixed = texts(9);
            mixed[6].push_str(word);
            let size = mixed[6].len();
            let error = embedder.embed(mixed).await.unwrap_err();
            assert_eq!(error.recovery(), Recovery::Park, "{error}");
            let told = error.chain();
            assert!(told.contains(&format!("a text of {size} bytes")), "{told}");
            assert!(!told.contains(word), "{told}");
        }
        assert_eq!(embedder.embed(texts(9)).await.unwrap().len(), 9);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn what_was_embedded_beside_a_text_that_is_not_taken_is_not_asked_for_again() {
    const BAD: usize = 41;
    for protocol in PROTOCOLS {
        let server = EmbeddingServer::start().await;
        let embedder = opened(&server, protocol).await;
        let wanted = embedder.embed(texts(100)).await.unwrap();
        server.known(|known| {
            known.refused.insert("forbidden");
        });
        // Several requests, of which the one with the bad text is halved.
        let mut mixed = texts(100);
        mixed[BAD].push_str("forbidden");
        let error = embedder.embed(mixed.clone()).await.unwrap_err();
        assert_eq!(error.recovery(), Recovery::Park, "{error}");
        server.known(|known| known.asked.clear());
        // As a worker does after that: each document by itself.
        for (index, text) in mixed.iter().enumerate() {
            let alone = embedder.embed(vec![text.clone()]).await;
            match alone {
                Ok(alone) => assert_eq!(alone[0], wanted[index], "{text}"),
                Err(error) => assert_eq!(index, BAD, "{error}"),
            }
        }
        let asked = server.known(|known| std::mem::take(&mut known.asked));
        let asked: Vec<_> = asked.into_iter().flat_map(|asked| asked.texts).collect();
        // A plain text is asked beside it, to see whether the service is well.
        assert_eq!(asked, [mixed[BAD].as_str(), "lockstep"], "{protocol:?}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn where_no_text_is_taken_any_more_not_each_is_looked_for() {
    let server = EmbeddingServer::start().await;
    let embedder = opened(&server, Protocol::Tei).await;
    server.known(|known| {
        known.refused.insert("text");
        known.asked.clear();
    });
    let error = embedder.embed(texts(32)).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Park, "{error}");
    let asked = server.known(|known| known.asked.len());
    assert!(asked < 16, "{asked} requests");
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_the_service_is_halved() {
    let server = EmbeddingServer::start().await;
    let embedder = opened(&server, Protocol::OpenAi).await;
    let wanted = embedder.embed(texts(30)).await.unwrap();
    server.known(|known| known.texts_max = 4);
    assert_eq!(embedder.embed(texts(30)).await.unwrap(), wanted);
}

#[tokio::test]
async fn requests_keep_to_what_the_service_says_and_the_order_of_the_texts() {
    let server = EmbeddingServer::start().await;
    server.known(|known| known.texts_max = 8);
    let options = HttpOptions {
        requests_max: 2,
        texts_max: Some(20),
        ..server.options(Protocol::Tei)
    };
    let embedder = open(options).await.unwrap();
    // Only two at once get an answer, so that it is seen that there are two, and no third.
    server.known(|known| {
        known.asked.clear();
        known.running_max = 0;
        known.pairs = Some(Arc::new(Barrier::new(2)));
    });
    let together = embedder.embed(texts(48)).await.unwrap();
    let (sizes, running) = server.known(|known| {
        known.pairs = None;
        let sizes = known.asked.iter().map(|asked| asked.texts.len());
        (sizes.collect::<Vec<_>>(), known.running_max)
    });
    assert_eq!((sizes, running), (vec![8; 6], 2));
    for (text, vector) in texts(48).into_iter().zip(together) {
        assert_eq!(embedder.embed(vec![text]).await.unwrap(), [vector]);
    }
}

#[tokio::test]
async fn what_the_service_counts_is_what_it_costs() {
    for protocol in PROTOCOLS {
        let server = EmbeddingServer::start().await;
        let embedder = opened(&server, protocol).await;
        let before = embedder.usage().tokens;
        embedder.embed(texts(3)).await.unwrap();
        assert_eq!(embedder.usage().tokens, before + 18, "{protocol:?}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn another_model_at_the_same_place_stops_us() {
    let server = EmbeddingServer::start().await;
    let embedder = opened(&server, Protocol::Ollama).await;
    server.known(|known| known.script = [Trouble::Dimension(8)].into());
    let error = embedder.embed(texts(1)).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Stop);
    assert!(error.to_string().contains("`lockstep reindex`"), "{error}");
}

#[tokio::test]
async fn what_the_settings_say_must_be_what_is_there() {
    let server = EmbeddingServer::start().await;
    let told = async |options: HttpOptions| open(options).await.unwrap_err().to_string();
    let other = |name: &str, protocol| HttpOptions {
        name: Some(name.to_owned()),
        ..server.options(protocol)
    };
    let dimension = HttpOptions {
        dimension: Some(DIMENSION + 1),
        ..server.options(Protocol::OpenAi)
    };
    let dimension = told(dimension).await;
    assert!(
        dimension.contains("model.dimension: it is 17"),
        "{dimension}"
    );
    assert!(dimension.contains("`lockstep reindex`"), "{dimension}");
    let name = told(other("gte-base", Protocol::Tei)).await;
    assert!(name.contains("has \"sentence-transformers/"), "{name}");
    let missing = told(other("nomic", Protocol::Ollama)).await;
    assert!(missing.contains("model not found"), "{missing}");
    assert!(missing.contains("ollama pull"), "{missing}");
}

#[tokio::test]
async fn a_key_is_shown_to_the_service_and_to_nobody_else() {
    let server = EmbeddingServer::start().await;
    server.known(|known| known.key = Some("hunter2"));
    let with = |key: &str| HttpOptions {
        key: serde_json::from_value(key.into()).unwrap(),
        ..server.options(Protocol::OpenAi)
    };
    let embedder = open(with("hunter2")).await.unwrap();
    assert!(!format!("{embedder:?}").contains("hunter2"));
    let sent = server.known(|known| known.asked[0].authorization.clone());
    assert_eq!(sent.as_deref(), Some("Bearer hunter2"));
    let error = open(with("swordfish")).await.unwrap_err();
    assert_eq!(error.recovery(), Recovery::Stop);
    assert!(matches!(error, Error::Refused { .. }));
    assert!(!error.chain().contains("swordfish"), "{error}");
    assert!(
        error.to_string().contains("LOCKSTEP_MODEL_API_KEY"),
        "{error}"
    );
}

#[tokio::test]
async fn models_are_told_apart_by_all_that_decides_their_chunks() {
    let server = EmbeddingServer::start().await;
    let digest = async |options| open(options).await.unwrap().model().digest.clone();
    let options = || server.options(Protocol::OpenAi);
    let first = digest(options()).await;
    assert_eq!(digest(options()).await, first);
    let other_limit = HttpOptions {
        token_limit: 300,
        ..options()
    };
    let other_name = HttpOptions {
        name: Some("large".into()),
        ..options()
    };
    assert_ne!(digest(other_limit).await, first);
    assert_ne!(digest(other_name).await, first);
    assert_ne!(digest(server.options(Protocol::Ollama)).await, first);
}
