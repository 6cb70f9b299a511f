//! A model's folder in the layout of the Hugging Face hub, checked before anything is computed.
//!
//! ```text
//! SHA256SUMS ─┐
//! config.json, 1_Pooling/config.json, sentence_bert_config.json, tokenizer.json ──> what the model is
//! model.onnx, otherwise model.safetensors ──────────────────────────────────────> its graph, loaded
//! ```

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use super::bert::{self, Encoder, Weights};
use super::{Model, Precision, quantise};
use crate::{Error, Result};

/// Tokens that are read of a text when the folder does not say.
const TOKEN_LIMIT_DEFAULT: usize = 256;

/// What mends most faults of a folder.
const FIX: &str = "fetch it again with `make model`";

/// The name under which a graph built here finds the weights; the runtime asks for this ending.
const WEIGHTS: &str = "weights.data";

/// Which of a text's states become its vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean of all.
    Mean,
    /// The first.
    First,
}

/// A folder, read and checked.
pub(crate) struct ModelFolder {
    pub(crate) model: Model,
    pub(crate) pooling: Pooling,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) graph: rten::Model,
}

impl ModelFolder {
    /// Reads the whole folder; about a quarter of a second for the default model.
    ///
    /// Every file is hashed each time: the digest of the weights is needed anyway, as a part of
    /// the model's, and at over a gigabyte a second it costs less than a cache of it would explain.
    ///
    /// # Errors
    /// [`Error::Model`] with the file, what is wrong with it and what to do.
    pub(crate) fn open(folder: &Path, precision: Precision) -> Result<Self> {
        if !folder.is_dir() {
            return Err(fault(folder, format!("there is no such folder; {FIX}")));
        }
        let files = Files::open(folder)?;
        let (config, _) = files.json::<Encoder>("config.json")?;
        if let Some(what) = config.unsupported() {
            let path = folder.join("config.json");
            let why = format!("{what}; use a BERT-shaped model, such as all-MiniLM-L6-v2");
            return Err(fault(&path, why));
        }
        let pooling = files.pooling()?;
        let token_limit = files.token_limit(&config)?;
        let (tokenizer, tokenizer_digest) = files.tokenizer()?;
        let (graph, weights_digest) = files.graph(&config, precision)?;
        let name = folder
            .file_name()
            .map_or_else(|| "model".into(), |name| name.to_string_lossy());
        let mut identity = String::new();
        write!(
            identity,
            "weights {weights_digest}\ntokenizer {tokenizer_digest}\npooling {pooling:?}\n\
             tokens {token_limit}\nprecision {}\nheads {} epsilon {:e}\n",
            match precision {
                Precision::Fp32 => "fp32",
                Precision::Int8 => "int8",
            },
            config.num_attention_heads,
            config.layer_norm_eps,
        )
        .expect("writing to a string should not fail");
        Ok(Self {
            model: Model {
                name: name.into_owned(),
                digest: hex(identity.as_bytes()),
                dimension: config.hidden_size,
                token_limit,
            },
            pooling,
            tokenizer,
            graph,
        })
    }
}

/// The files of a folder and the digests that they should have.
struct Files {
    folder: PathBuf,
    digests: HashMap<String, String>,
}

impl Files {
    /// Reads `SHA256SUMS`, as `sha256sum` writes it; a folder without one is taken as it is.
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("SHA256SUMS");
        let mut digests = HashMap::new();
        if path.exists() {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let (digest, name) = line
                    .split_once([' ', '\t'])
                    .filter(|(digest, _)| digest.len() == 64)
                    .ok_or_else(|| {
                        fault(&path, format!("{line:?} is no digest and name; {FIX}"))
                    })?;
                let name = name
                    .trim_start()
                    .trim_start_matches(['*'])
                    .trim_start_matches("./");
                digests.insert(name.to_owned(), digest.to_ascii_lowercase());
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            digests,
        })
    }

    fn has(&self, name: &str) -> bool {
        self.folder.join(name).exists() || self.digests.contains_key(name)
    }

    /// A file and its digest, compared with the one that it should have.
    fn read(&self, name: &str) -> Result<(Vec<u8>, String)> {
        let path = self.folder.join(name);
        let bytes = std::fs::read(&path).map_err(|error| unreadable(&path, &error))?;
        let digest = hex(&bytes);
        match self.digests.get(name) {
            Some(wanted) if *wanted != digest => {
                let why = format!(
                    "its SHA-256 is {digest}, SHA256SUMS says {wanted}: it is damaged or another \
                     file; {FIX}"
                );
                Err(fault(&path, why))
            }
            _ => Ok((bytes, digest)),
        }
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<(T, String)> {
        let (bytes, digest) = self.read(name)?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            fault(
                &self.folder.join(name),
                format!("it cannot be understood: {error}; {FIX}"),
            )
        })?;
        Ok((value, digest))
    }

    fn pooling(&self) -> Result<Pooling> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default)]
            pooling_mode_cls_token: bool,
            #[serde(default)]
            pooling_mode_mean_tokens: bool,
        }
        let name = "1_Pooling/config.json";
        if !self.has(name) {
            return Ok(Pooling::Mean);
        }
        let (config, _) = self.json::<Config>(name)?;
        match (
            config.pooling_mode_cls_token,
            config.pooling_mode_mean_tokens,
        ) {
            (false, true) => Ok(Pooling::Mean),
            (true, false) => Ok(Pooling::First),
            _ => {
                let why = "it asks for a pooling that is neither mean nor cls; use another model";
                Err(fault(&self.folder.join(name), why.into()))
            }
        }
    }

    fn token_limit(&self, encoder: &Encoder) -> Result<usize> {
        #[derive(Deserialize)]
        struct Config {
            max_seq_length: Option<usize>,
        }
        let name = "sentence_bert_config.json";
        let wanted = if self.has(name) {
            self.json::<Config>(name)?.0.max_seq_length
        } else {
            None
        };
        let limit = wanted
            .unwrap_or(TOKEN_LIMIT_DEFAULT)
            .min(encoder.max_position_embeddings);
        if limit <= 2 {
            let why = format!("it leaves {limit} tokens for a text; {FIX}");
            return Err(fault(&self.folder.join(name), why));
        }
        Ok(limit)
    }

    fn tokenizer(&self) -> Result<(Tokenizer, String)> {
        let (bytes, digest) = self.read("tokenizer.json")?;
        let bad = |error: tokenizers::Error| {
            let why = format!("it is no tokenizer: {error}; {FIX}");
            fault(&self.folder.join("tokenizer.json"), why)
        };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(bad)?;
        // Texts are counted and padded here; the file's own wishes would cut them in silence.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(bad)?;
        Ok((tokenizer, digest))
    }

    fn graph(&self, encoder: &Encoder, precision: Precision) -> Result<(rten::Model, String)> {
        let ready = self.has("model.onnx");
        let name = if ready {
            "model.onnx"
        } else {
            "model.safetensors"
        };
        let path = self.folder.join(name);
        if precision == Precision::Int8 {
            let why = if ready {
                "int8 is made from model.safetensors, and this graph is used as it is"
            } else if !quantise::is_exact_here() {
                "int8 needs a processor with AVX-512 VNNI"
            } else {
                ""
            };
            if !why.is_empty() {
                return Err(fault(&path, format!("{why}; set model.precision to fp32")));
            }
        }
        let (bytes, digest) = self.read(name)?;
        let bad = |why: String| fault(&path, format!("{why}; {FIX}"));
        let mut options = rten::ModelOptions::with_all_ops();
        options.prepack_weights(true);
        let graph = if ready {
            bytes
        } else {
            let (length, header) = SafeTensors::read_metadata(&bytes)
                .map_err(|error| bad(format!("it is cut off or damaged: {error}")))?;
            let weights = Weights {
                name: WEIGHTS,
                bytes: &bytes,
                header: &header,
                // Eight bytes say how long the header is; the tensors follow it.
                start: length + 8,
            };
            let graph = bert::graph(encoder, weights, precision).map_err(bad)?;
            options.external_data(WEIGHTS, bytes);
            graph
        };
        let model = options
            .load(graph)
            .map_err(|error| bad(format!("it cannot be loaded: {error}")))?;
        Ok((model, digest))
    }
}

fn fault(path: &Path, why: String) -> Error {
    Error::Model {
        path: path.to_owned(),
        why,
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    fault(path, format!("it cannot be read: {error}; {FIX}"))
}

fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
