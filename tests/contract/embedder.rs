//! What every embedder promises, over each of them; and that the local model is the one it says.

use std::num::NonZero;

use lockstep::Error;
use lockstep::clock::Clock;
use lockstep::feature::embed::hash::HashEmbedder;
use lockstep::feature::embed::http::{HttpEmbedder, Protocol};
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::feature::embed::{Embedder, Precision};
use serde::Deserialize;

use crate::support::embedding::EmbeddingServer;
use crate::support::model::{broken_folder, model_folder};

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

fn reference() -> Vec<Case> {
    let json = include_str!("../fixtures/minilm-reference.json");
    serde_json::from_str::<Reference>(json).unwrap().cases
}

fn texts() -> Vec<String> {
    reference().into_iter().map(|case| case.text).collect()
}

fn local() -> LocalEmbedder {
    let threads = NonZero::new(2);
    LocalEmbedder::open(
        &model_folder(),
        LocalOptions {
            threads,
            ..LocalOptions::default()
        },
    )
    .unwrap()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// The port's contract, as far as it can be seen from outside.
async fn keeps_the_contract(embedder: &impl Embedder) {
    let texts = texts();
    let together = embedder.embed(texts.clone()).await.unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), embedder.model().dimension);
        assert!((dot(vector, vector).sqrt() - 1.0).abs() < 1e-4, "{text:?}");
        let alone = embedder.embed(vec![text.clone()]).await.unwrap();
        let difference = farthest(vector, &alone[0]);
        assert!(
            difference < 1e-5,
            "{text:?} differs by {difference} beside others"
        );
    }
    assert_eq!(
        embedder.embed(vec![]).await.unwrap(),
        Vec::<Vec<f32>>::new()
    );

    let mut long = "word ".repeat(embedder.model().token_limit - 2);
    assert_eq!(embedder.token_count(&long), embedder.model().token_limit);
    assert!(embedder.embed(vec![long.clone()]).await.is_ok());
    long.push_str("word");
    let mixed = vec!["short".to_owned(), long, "another".to_owned()];
    let error = embedder.embed(mixed).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn the_hash_embedder_keeps_the_contract() {
    keeps_the_contract(&HashEmbedder::new(384)).await;
}

#[tokio::test]
async fn the_local_embedder_keeps_the_contract() {
    keeps_the_contract(&local()).await;
}

#[tokio::test]
async fn a_service_of_each_protocol_keeps_the_contract() {
    let server = EmbeddingServer::start().await;
    for protocol in [Protocol::OpenAi, Protocol::Tei, Protocol::Ollama] {
        let mut options = server.options(protocol);
        if protocol == Protocol::Tei {
            // With the tokenizer's own count; the others estimate.
            options.tokenizer = Some(model_folder().join("tokenizer.json"));
            options.token_limit = 256;
        }
        let embedder = HttpEmbedder::open(options, Clock::system()).await.unwrap();
        keeps_the_contract(&embedder).await;
    }
}

/// In 8 bits; none on a processor that cannot compute so, after it was seen to say so.
fn in_bytes() -> Option<LocalEmbedder> {
    let options = LocalOptions {
        precision: Precision::Int8,
        ..LocalOptions::default()
    };
    match LocalEmbedder::open(&model_folder(), options) {
        Ok(embedder) => Some(embedder),
        Err(error) => {
            assert!(error.chain().contains("AVX-512 VNNI"), "{error}");
            None
        }
    }
}

#[tokio::test]
async fn the_local_embedder_keeps_the_contract_in_8_bits_and_is_near_the_reference() {
    let Some(embedder) = in_bytes() else { return };
    keeps_the_contract(&embedder).await;
    let vectors = embedder.embed(texts()).await.unwrap();
    let cosines: Vec<f32> = reference()
        .iter()
        .zip(&vectors)
        .map(|(case, vector)| dot(vector, &case.vector))
        .collect();
    let count = f32::from(u16::try_from(cosines.len()).unwrap());
    let mean = cosines.iter().sum::<f32>() / count;
    let least = cosines.iter().copied().fold(1.0, f32::min);
    println!("cosine to the reference: mean {mean:.4}, least {least:.4}");
    assert!(mean > 0.99 && least > 0.97, "{cosines:?}");
    assert_ne!(embedder.model().digest, local().model().digest);
}

#[test]
fn a_ready_graph_is_not_taken_for_8_bits() {
    let folder = broken_folder(|folder| {
        std::fs::rename(folder.join("model.safetensors"), folder.join("model.onnx")).unwrap();
    });
    let options = LocalOptions {
        precision: Precision::Int8,
        ..LocalOptions::default()
    };
    let error = LocalEmbedder::open(folder.path(), options).unwrap_err();
    let told = error.chain();
    assert!(
        told.contains("model.onnx: int8 is made from model.safetensors"),
        "{told}"
    );
    assert!(told.contains("set model.precision to fp32"), "{told}");
}

#[tokio::test]
async fn every_text_is_where_the_reference_implementation_puts_it() {
    let embedder = local();
    let cases = reference();
    assert!(cases.len() >= 50);
    assert_eq!(embedder.model().token_limit, 256);
    let vectors = embedder.embed(texts()).await.unwrap();
    for (case, vector) in cases.iter().zip(&vectors) {
        assert_eq!(
            embedder.token_count(&case.text),
            case.tokens,
            "{:?}",
            case.text
        );
        let cosine = dot(vector, &case.vector);
        assert!(cosine >= 0.999, "{:?}: {cosine}", case.text);
    }
}

#[tokio::test]
async fn concurrent_callers_get_their_own_vectors_and_one_that_leaves_harms_nobody() {
    let embedder = local();
    let texts = texts();
    let whole = embedder.embed(texts.clone()).await.unwrap();
    {
        let mut left = Box::pin(embedder.embed(texts.clone()));
        let started = std::future::poll_fn(|context| {
            std::task::Poll::Ready(left.as_mut().poll(context).is_pending())
        });
        assert!(
            started.await,
            "66 texts should not fit into the channel at once"
        );
    }
    let (front, back) = texts.split_at(30);
    let calls = (
        embedder.embed(front.to_vec()),
        embedder.embed(back.to_vec()),
    );
    let (front, back) = tokio::join!(calls.0, calls.1);
    for (wanted, got) in whole
        .iter()
        .zip(front.unwrap().iter().chain(&back.unwrap()))
    {
        assert!(farthest(wanted, got) < 1e-5);
    }
}

#[test]
fn the_digest_is_that_of_what_decides_a_vector() {
    let digest = local().model().digest.clone();
    assert_eq!(digest.len(), 64);
    assert_eq!(digest, local().model().digest);
    let shorter = broken_folder(|folder| {
        std::fs::write(
            folder.join("sentence_bert_config.json"),
            r#"{"max_seq_length":128}"#,
        )
        .unwrap();
        std::fs::remove_file(folder.join("SHA256SUMS")).ok();
    });
    let shorter = LocalEmbedder::open(shorter.path(), LocalOptions::default()).unwrap();
    assert_eq!(shorter.model().token_limit, 128);
    assert_ne!(shorter.model().digest, digest);
}

/// Opens a copy of the model's folder after `damage` and returns what a person is told.
fn told(damage: impl FnOnce(&std::path::Path)) -> String {
    let folder = broken_folder(damage);
    let error = LocalEmbedder::open(folder.path(), LocalOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Model { .. }), "{error}");
    error.chain()
}

fn cut(path: &std::path::Path, bytes: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(bytes).unwrap();
}

#[test]
fn a_faulty_model_file_is_named_with_its_fault_and_its_remedy() {
    let without_sums = |folder: &std::path::Path| {
        std::fs::remove_file(folder.join("SHA256SUMS")).ok();
    };
    let missing = told(|folder| std::fs::remove_file(folder.join("model.safetensors")).unwrap());
    assert!(
        missing.contains("model.safetensors: it cannot be read"),
        "{missing}"
    );
    assert!(missing.contains("make model"), "{missing}");

    let damaged = told(|folder| {
        std::fs::write(
            folder.join("SHA256SUMS"),
            format!("{}  tokenizer.json\n", "0".repeat(64)),
        )
        .unwrap();
    });
    assert!(
        damaged.contains("tokenizer.json: its SHA-256 is"),
        "{damaged}"
    );

    for bytes in [0, 4, 5000, 1_000_000] {
        let truncated = told(|folder| {
            without_sums(folder);
            cut(&folder.join("model.safetensors"), bytes);
        });
        assert!(
            truncated.contains("model.safetensors: it is cut off"),
            "{truncated}"
        );
        assert!(truncated.contains("make model"), "{truncated}");
    }

    let foreign = told(|folder| {
        without_sums(folder);
        let path = folder.join("config.json");
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            &path,
            config.replace("\"model_type\": \"bert\"", "\"model_type\": \"t5\""),
        )
        .unwrap();
    });
    assert!(
        foreign.contains("config.json: its model_type is \"t5\""),
        "{foreign}"
    );

    let tokenizer = told(|folder| {
        without_sums(folder);
        std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    });
    assert!(
        tokenizer.contains("tokenizer.json: it is no tokenizer"),
        "{tokenizer}"
    );

    let onnx = told(|folder| std::fs::write(folder.join("model.onnx"), b"not a graph").unwrap());
    assert!(onnx.contains("model.onnx: it cannot be loaded"), "{onnx}");

    let error = LocalEmbedder::open("/nowhere".as_ref(), LocalOptions::default()).unwrap_err();
    assert!(error.to_string().contains("no such folder"), "{error}");
}
