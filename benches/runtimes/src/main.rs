//! One runtime that was not chosen, as a process that answers lines.
//!
//! ```text
//! runtimes candle|tract <model folder> <model.onnx> <threads>
//! {"texts": [...], "batch": 32}  ──stdin──>  stdout ──>  {"seconds": ..., "vectors": [[...]]}
//! ```

mod candle;
mod tract;

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokenizers::{PaddingParams, Tokenizer};

/// Token ids and masks of a batch, padded to its longest text.
pub struct Tokens {
    pub rows: usize,
    pub length: usize,
    pub ids: Vec<i64>,
    pub mask: Vec<i64>,
}

/// Hidden states of a batch, `rows × length × dimension`.
pub trait Runtime {
    fn states(&mut self, tokens: &Tokens) -> Result<Vec<f32>>;
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, folder, onnx, threads] = arguments.as_slice() else {
        bail!("usage: runtimes candle|tract <model folder> <model.onnx> <threads>");
    };
    let threads: usize = threads.parse()?;
    let mut runtime: Box<dyn Runtime> = match name.as_str() {
        "candle" => Box::new(candle::Candle::open(folder)?),
        "tract" => Box::new(tract::Tract::open(onnx, threads)?),
        other => bail!("no runtime {other}"),
    };
    let mut tokenizer = Tokenizer::from_file(format!("{folder}/tokenizer.json"))
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    tokenizer.with_padding(Some(PaddingParams::default()));
    let without = tokenizer.with_truncation(None);
    without.map_err(|error| anyhow::anyhow!("{error}"))?;
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        let texts: Vec<String> = serde_json::from_value(question["texts"].clone())?;
        let batch = usize::try_from(question["batch"].as_u64().context("no batch")?)?;
        let start = Instant::now();
        let mut vectors = Vec::new();
        for texts in texts.chunks(batch) {
            let tokens = encode(&tokenizer, texts)?;
            let states = runtime.states(&tokens)?;
            vectors.extend(pool(&tokens, &states));
        }
        let seconds = start.elapsed().as_secs_f64();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", json!({"seconds": seconds, "vectors": vectors}))?;
        out.flush()?;
    }
    Ok(())
}

fn encode(tokenizer: &Tokenizer, texts: &[String]) -> Result<Tokens> {
    let encodings = tokenizer
        .encode_batch_fast(texts.to_vec(), true)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let wide = |values: &[u32]| values.iter().map(|id| i64::from(*id)).collect::<Vec<_>>();
    Ok(Tokens {
        rows: encodings.len(),
        length: encodings.first().map_or(0, tokenizers::Encoding::len),
        ids: encodings.iter().flat_map(|one| wide(one.get_ids())).collect(),
        mask: encodings.iter().flat_map(|one| wide(one.get_attention_mask())).collect(),
    })
}

/// The mean over the tokens that are there, scaled to length one.
fn pool(tokens: &Tokens, states: &[f32]) -> Vec<Vec<f32>> {
    let dimension = states.len() / (tokens.rows * tokens.length);
    let row = |row: usize| {
        let mut vector = vec![0.0_f32; dimension];
        for place in 0..tokens.length {
            let at = row * tokens.length + place;
            if tokens.mask[at] == 1 {
                let state = &states[at * dimension..][..dimension];
                vector.iter_mut().zip(state).for_each(|(sum, value)| *sum += value);
            }
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|value| *value /= length);
        vector
    };
    (0..tokens.rows).map(row).collect()
}
