//! What each protocol asks and answers. Pure.
//!
//! | | place | texts | vectors | tokens |
//! |---|---|---|---|---|
//! | `openai` | `/embeddings` | `input` | `data`, each with its `index` | `usage` |
//! | `tei` | `/embed` | `inputs` | an array in order | header `x-compute-tokens` |
//! | `ollama` | `/api/embed` | `input` | `embeddings`, in order | `prompt_eval_count` |
//!
//! The last two are told not to cut what is too long: that is an error, never done in silence.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::batch::BatchLimits;

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `OpenAI`'s, which many services speak.
    OpenAi,
    /// Hugging Face's text-embeddings-inference.
    Tei,
    /// Ollama's own.
    Ollama,
}

/// What a service says of its model before it is asked for vectors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    /// The model's name.
    pub(super) name: Option<String>,
    /// What tells one state of that model from another.
    pub(super) revision: Option<String>,
    /// Tokens that it reads of one text.
    pub(super) token_limit: Option<usize>,
    /// Texts a request.
    pub(super) texts_max: Option<usize>,
    /// Tokens a request.
    pub(super) tokens_max: Option<usize>,
}

/// The vectors as they came, none of them checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    /// Each with the place of its text; a value that is no number is none.
    pub(super) vectors: Vec<(usize, Vec<Option<f32>>)>,
    /// Tokens that were counted, and paid for.
    pub(super) tokens: Option<u64>,
}

type Raw = Vec<Option<f32>>;

impl Protocol {
    /// Where it usually is.
    pub fn usual_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Tei => "http://localhost:8080",
            Self::Ollama => "http://localhost:11434",
        }
    }

    /// What one request carries unless the settings or the service say otherwise.
    ///
    /// - `openai`: the service takes 2,048 texts and 300,000 tokens; smaller requests share a call
    ///   among those in flight, and lose less when one fails.
    /// - `tei`: its own defaults; `/info` tells a server's.
    /// - `ollama`: it computes one text after the other, so that more would only delay an answer.
    pub fn batch_limits(self, bytes_max: usize) -> BatchLimits {
        let (texts_max, tokens_max) = match self {
            Self::OpenAi => (128, 32_768),
            Self::Tei | Self::Ollama => (32, 16_384),
        };
        BatchLimits {
            texts_max,
            tokens_max,
            bytes_max,
        }
    }

    /// Where texts are embedded, below the service's address.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "embeddings",
            Self::Tei => "embed",
            Self::Ollama => "api/embed",
        }
    }

    /// What is asked.
    pub(super) fn body(self, model: &str, texts: &[String]) -> Value {
        match self {
            Self::OpenAi => json!({"model": model, "input": texts, "encoding_format": "float"}),
            Self::Tei => json!({"inputs": texts, "normalize": true, "truncate": false}),
            Self::Ollama => json!({"model": model, "input": texts, "truncate": false}),
        }
    }

    /// What is answered; `computed` is the header `x-compute-tokens`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn answer(self, body: &[u8], computed: Option<u64>) -> Result<Answer, String> {
        let malformed = |error: serde_json::Error| format!("its answer is malformed: {error}");
        let ordered = |vectors: Vec<Raw>| vectors.into_iter().enumerate().collect();
        match self {
            Self::OpenAi => {
                let OpenAiAnswer { data, usage } =
                    serde_json::from_slice(body).map_err(malformed)?;
                let vectors = data.into_iter().enumerate();
                let vectors = vectors.map(|(at, one)| (one.index.unwrap_or(at), one.embedding));
                Ok(Answer {
                    vectors: vectors.collect(),
                    tokens: usage.and_then(|usage| usage.total_tokens.or(usage.prompt_tokens)),
                })
            }
            Self::Tei => Ok(Answer {
                vectors: ordered(serde_json::from_slice(body).map_err(malformed)?),
                tokens: computed,
            }),
            Self::Ollama => {
                let OllamaAnswer {
                    embeddings,
                    prompt_eval_count,
                } = serde_json::from_slice(body).map_err(malformed)?;
                Ok(Answer {
                    vectors: ordered(embeddings),
                    tokens: prompt_eval_count,
                })
            }
        }
    }
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiVector>,
    usage: Option<OpenAiUsage>,
}

#[derive(Deserialize)]
struct OpenAiVector {
    index: Option<usize>,
    embedding: Raw,
}

#[derive(Deserialize)]
struct OpenAiUsage {
    total_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OllamaAnswer {
    embeddings: Vec<Raw>,
    prompt_eval_count: Option<u64>,
}

/// What text-embeddings-inference says at `/info`.
pub(super) fn tei_info(info: &Value) -> About {
    let number = |name: &str| {
        let number = info[name].as_u64().filter(|number| *number > 0)?;
        usize::try_from(number).ok()
    };
    let text = |name: &str| info[name].as_str().map(str::to_owned);
    let parts = [text("model_sha"), text("model_dtype")];
    let revision: Vec<String> = parts.into_iter().flatten().collect();
    About {
        name: text("model_id"),
        revision: (!revision.is_empty()).then(|| revision.join(" ")),
        token_limit: number("max_input_length"),
        texts_max: number("max_client_batch_size"),
        tokens_max: number("max_batch_tokens"),
    }
}

/// What Ollama says at `/api/show` and `/api/tags` of the model of this name.
pub(super) fn ollama_info(name: &str, show: &Value, tags: &Value) -> About {
    let length = |info: &Map<String, Value>| {
        let mut lengths = info
            .iter()
            .filter(|(name, _)| name.ends_with(".context_length"));
        lengths.next().and_then(|(_, length)| length.as_u64())
    };
    let latest = format!("{name}:latest");
    let models = tags["models"].as_array().into_iter().flatten();
    let digest = models
        .filter(|model| model["name"] == name || model["name"] == latest.as_str())
        .find_map(|model| model["digest"].as_str());
    About {
        name: Some(name.to_owned()),
        revision: digest.map(str::to_owned),
        token_limit: show["model_info"]
            .as_object()
            .and_then(length)
            .and_then(|length| usize::try_from(length).ok()),
        texts_max: None,
        tokens_max: None,
    }
}

/// The vectors in the order of the texts, each of unit length; the number of values that they should
/// have is not known before the first answer.
///
/// # Errors
/// What is wrong with the answer.
pub(super) fn checked(answer: Answer, count: usize) -> Result<Vec<Vec<f32>>, String> {
    if answer.vectors.len() != count {
        let came = answer.vectors.len();
        return Err(format!("{came} vectors came for {count} texts"));
    }
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; count];
    for (at, raw) in answer.vectors {
        let place = vectors
            .get_mut(at)
            .filter(|place| place.is_none())
            .ok_or_else(|| format!("its answer has no place {at}, or has it twice"))?;
        let vector: Option<Vec<f32>> = raw.into_iter().collect();
        let mut vector = vector
            .filter(|vector| vector.iter().all(|value| value.is_finite()))
            .ok_or("a vector has a value that is no number")?;
        super::super::normalise(&mut vector);
        let length: f32 = vector.iter().map(|value| value * value).sum();
        if (length - 1.0).abs() > 1e-4 {
            return Err("a vector has no length".to_owned());
        }
        *place = Some(vector);
    }
    let vectors: Option<Vec<_>> = vectors.into_iter().collect();
    vectors.ok_or_else(|| "a text has no vector".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(protocol: Protocol, body: &str, count: usize) -> Result<Vec<Vec<f32>>, String> {
        checked(protocol.answer(body.as_bytes(), Some(3))?, count)
    }

    #[test]
    fn the_answers_index_decides_the_order() {
        let body = r#"{"object": "list", "model": "m", "data": [
            {"object": "embedding", "index": 1, "embedding": [0, 2]},
            {"object": "embedding", "index": 0, "embedding": [3.0, 4.0]}],
            "usage": {"prompt_tokens": 8, "total_tokens": 9}}"#;
        let vectors = read(Protocol::OpenAi, body, 2).unwrap();
        assert_eq!(vectors, [vec![0.6, 0.8], vec![0.0, 1.0]]);
        let answer = Protocol::OpenAi.answer(body.as_bytes(), None).unwrap();
        assert_eq!(answer.tokens, Some(9));
        let ollama = r#"{"model": "m", "embeddings": [[2.0], [5]], "prompt_eval_count": 7}"#;
        let answer = Protocol::Ollama.answer(ollama.as_bytes(), None).unwrap();
        assert_eq!(answer.tokens, Some(7));
        assert_eq!(read(Protocol::Tei, "[[2.0], [5]]", 2).unwrap().len(), 2);
    }

    #[test]
    fn an_answer_that_is_not_whole_is_none() {
        let cases = [
            ("[[1.0]]", "1 vectors came for 2 texts"),
            ("[[1.0], [null]]", "no number"),
            ("[[1.0], [1e39]]", "malformed"),
            ("[[1.0], [0.0]]", "no length"),
            ("[[1.0], [NaN]]", "malformed"),
            ("[[1.0], [1.0", "malformed"),
        ];
        for (body, told) in cases {
            let error = read(Protocol::Tei, body, 2).unwrap_err();
            assert!(error.contains(told), "{body}: {error}");
        }
        for (first, second) in [(0, 0), (0, 2)] {
            let body = json!({"data": [
                {"index": first, "embedding": [1]}, {"index": second, "embedding": [1]}]});
            let error = read(Protocol::OpenAi, &body.to_string(), 2).unwrap_err();
            assert!(error.contains("or has it twice"), "{error}");
        }
    }

    #[test]
    fn a_service_says_what_it_is() {
        let info = json!({"model_id": "BAAI/bge", "model_sha": "abc", "model_dtype": "float16",
            "max_input_length": 512, "max_client_batch_size": 32, "max_batch_tokens": 16384});
        let about = tei_info(&info);
        assert_eq!(about.name.as_deref(), Some("BAAI/bge"));
        assert_eq!(about.revision.as_deref(), Some("abc float16"));
        assert_eq!((about.token_limit, about.texts_max), (Some(512), Some(32)));
        let show = json!({"model_info": {"bert.context_length": 256, "bert.block_count": 6}});
        let tags = json!({"models": [{"name": "other:latest", "digest": "x"},
            {"name": "all-minilm:latest", "digest": "y"}]});
        let about = ollama_info("all-minilm", &show, &tags);
        assert_eq!(
            (about.token_limit, about.revision),
            (Some(256), Some("y".into()))
        );
    }
}
