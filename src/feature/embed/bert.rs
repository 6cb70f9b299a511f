//! The BERT encoder as an ONNX graph whose weights stay where the safetensors file has them.
//!
//! ```text
//! tokens ──words + places──> normalise ──┬─> attention ─> + ─> normalise ─> feed forward ─> + ─> normalise ──> states
//!                                        └──────────────────── for each layer ──────────────────────────────┘
//! ```
//!
//! Inputs: `input_ids` and `attention_mask`, both `[batch, sequence]`, each row of the mask ones
//! and then zeros. Output: `last_hidden_state`, `[batch, sequence, hidden]`.

use prost::Message;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::onnx::{Attribute, Axis, Entry, Graph, Kind, Model, Node, OperatorSet};
use super::onnx::{Shape, Tensor, TensorKind, Value, element};

/// The version of the standard operators that has attention with a length for each row.
const OPERATOR_SET: i64 = 24;

/// The sizes of an encoder, as `config.json` names them.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Encoder {
    pub(crate) model_type: String,
    pub(crate) hidden_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) max_position_embeddings: usize,
    pub(crate) hidden_act: String,
    #[serde(default = "absolute")]
    pub(crate) position_embedding_type: String,
    pub(crate) layer_norm_eps: f32,
}

fn absolute() -> String {
    "absolute".into()
}

impl Encoder {
    /// What this encoder has that the graph below does not do.
    pub(crate) fn unsupported(&self) -> Option<String> {
        if self.model_type != "bert" {
            Some(format!(
                "its model_type is {:?}, not \"bert\"",
                self.model_type
            ))
        } else if self.hidden_act != "gelu" {
            Some(format!(
                "its hidden_act is {:?}, not \"gelu\"",
                self.hidden_act
            ))
        } else if self.position_embedding_type != "absolute" {
            let kind = &self.position_embedding_type;
            Some(format!(
                "its position_embedding_type is {kind:?}, not \"absolute\""
            ))
        } else if self.num_attention_heads == 0
            || !self.hidden_size.is_multiple_of(self.num_attention_heads)
        {
            Some("its hidden_size is no multiple of its num_attention_heads".into())
        } else {
            None
        }
    }
}

/// The graph as bytes; its constants are ranges of the buffer named `weights`.
///
/// `start` is where the file's tensors begin, `header` what it says of them.
///
/// # Errors
/// A text that says which tensor is missing or of a type that is not floating point.
pub(crate) fn graph(
    encoder: &Encoder,
    header: &Metadata,
    start: usize,
    weights: &str,
) -> Result<Vec<u8>, String> {
    let prefix = ["", "bert."]
        .into_iter()
        .find(|prefix| header.info(&format!("{prefix}{WORDS}")).is_some())
        .ok_or_else(|| format!("it has no tensor {WORDS}"))?;
    let mut builder = Builder {
        header,
        start,
        weights,
        prefix,
        graph: Graph::default(),
    };
    let states = builder.encoder(encoder)?;
    builder.node("Identity", &[&states], vec![], Some("last_hidden_state"));
    let mut graph = builder.graph;
    graph.name = "encoder".into();
    graph.inputs = ["input_ids", "attention_mask"]
        .map(|name| value(name, element::INT64, &["batch", "sequence"]))
        .to_vec();
    graph.outputs = vec![value(
        "last_hidden_state",
        element::FLOAT,
        &["batch", "sequence", "hidden"],
    )];
    let model = Model {
        ir_version: 11,
        graph: Some(graph),
        operator_sets: vec![OperatorSet {
            version: OPERATOR_SET,
        }],
    };
    Ok(model.encode_to_vec())
}

const WORDS: &str = "embeddings.word_embeddings.weight";

fn value(name: &str, element: i32, axes: &[&str]) -> Value {
    let axes = axes
        .iter()
        .map(|name| Axis {
            size: None,
            name: Some((*name).into()),
        })
        .collect();
    let tensor = Some(TensorKind {
        element,
        shape: Some(Shape { axes }),
    });
    Value {
        name: name.into(),
        kind: Some(Kind { tensor }),
    }
}

/// Appends nodes; each method returns the name of what it computes.
struct Builder<'a> {
    header: &'a Metadata,
    start: usize,
    weights: &'a str,
    prefix: &'a str,
    graph: Graph,
}

impl Builder<'_> {
    fn encoder(&mut self, encoder: &Encoder) -> Result<String, String> {
        let lengths = self.lengths();
        let mut states = self.embeddings(encoder)?;
        for layer in 0..encoder.num_hidden_layers {
            let at = |part: &str| format!("encoder.layer.{layer}.{part}");
            let attended = self.attention(&states, &lengths, encoder, &at("attention.self"))?;
            let attended = self.linear(&attended, &at("attention.output.dense"))?;
            let norm = at("attention.output.LayerNorm");
            states = self.add_and_normalise(&attended, &states, &norm, encoder)?;

            let wide = self.linear(&states, &at("intermediate.dense"))?;
            let wide = self.node("Gelu", &[&wide], vec![], None);
            let narrow = self.linear(&wide, &at("output.dense"))?;
            let norm = at("output.LayerNorm");
            states = self.add_and_normalise(&narrow, &states, &norm, encoder)?;
        }
        Ok(states)
    }

    /// The number of tokens of each row.
    fn lengths(&mut self) -> String {
        let axis = self.integer(1);
        let flat = vec![Attribute::from_integer("keepdims", 0)];
        self.node("ReduceSum", &["attention_mask", &axis], flat, None)
    }

    /// Word + place + the first token type, which is the type of every token of a single text.
    fn embeddings(&mut self, encoder: &Encoder) -> Result<String, String> {
        let words = self.weight(WORDS)?;
        let places = self.weight("embeddings.position_embeddings.weight")?;
        let types = self.weight("embeddings.token_type_embeddings.weight")?;
        let (zero, one) = (self.integer(0), self.integer(1));
        let first_type = self.node("Slice", &[&types, &zero, &one, &zero], vec![], None);
        // Both sides are constants, so that the runtime adds them once, when it loads the graph.
        let places = self.node("Add", &[&places, &first_type], vec![], None);

        let from_sequence = vec![
            Attribute::from_integer("start", 1),
            Attribute::from_integer("end", 2),
        ];
        let sequence = self.node("Shape", &["input_ids"], from_sequence, None);
        let places = self.node("Slice", &[&places, &zero, &sequence, &zero], vec![], None);
        let words = self.node("Gather", &[&words, "input_ids"], vec![], None);
        self.add_and_normalise(&words, &places, "embeddings.LayerNorm", encoder)
    }

    fn attention(
        &mut self,
        states: &str,
        lengths: &str,
        encoder: &Encoder,
        at: &str,
    ) -> Result<String, String> {
        let query = self.linear(states, &format!("{at}.query"))?;
        let key = self.linear(states, &format!("{at}.key"))?;
        let value = self.linear(states, &format!("{at}.value"))?;
        let heads = integer(encoder.num_attention_heads)?;
        let heads = ["q_num_heads", "kv_num_heads"]
            .map(|name| Attribute::from_integer(name, heads))
            .to_vec();
        // No mask and no past: what lies beyond a row's length is left out altogether.
        let inputs = [&query, &key, &value, "", "", "", lengths];
        Ok(self.node("Attention", &inputs, heads, None))
    }

    /// `input · weightᵀ + bias`.
    fn linear(&mut self, input: &str, at: &str) -> Result<String, String> {
        let weight = self.weight(&format!("{at}.weight"))?;
        let bias = self.weight(&format!("{at}.bias"))?;
        let turn = vec![Attribute::from_integers("perm", &[1, 0])];
        let weight = self.node("Transpose", &[&weight], turn, None);
        let product = self.node("MatMul", &[input, &weight], vec![], None);
        Ok(self.node("Add", &[&product, &bias], vec![], None))
    }

    fn add_and_normalise(
        &mut self,
        a: &str,
        b: &str,
        at: &str,
        encoder: &Encoder,
    ) -> Result<String, String> {
        let sum = self.node("Add", &[a, b], vec![], None);
        let scale = self.weight(&format!("{at}.weight"))?;
        let bias = self.weight(&format!("{at}.bias"))?;
        let epsilon = vec![Attribute::from_float("epsilon", encoder.layer_norm_eps)];
        Ok(self.node("LayerNormalization", &[&sum, &scale, &bias], epsilon, None))
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
        name: Option<&str>,
    ) -> String {
        let output = match name {
            Some(name) => name.to_owned(),
            None => format!("{operator}.{}", self.graph.nodes.len()),
        };
        self.graph.nodes.push(Node {
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            outputs: vec![output.clone()],
            operator: operator.into(),
            attributes,
        });
        output
    }

    /// A constant vector of one integer, as axes and bounds are given.
    fn integer(&mut self, value: i64) -> String {
        let name = format!("integer.{}", self.graph.constants.len());
        self.graph.constants.push(Tensor {
            shape: vec![1],
            element: element::INT64,
            name: name.clone(),
            bytes: Some(value.to_le_bytes().to_vec()),
            ..Tensor::default()
        });
        name
    }

    /// A tensor of the file, where it lies.
    fn weight(&mut self, name: &str) -> Result<String, String> {
        let name = format!("{}{name}", self.prefix);
        let info: &TensorInfo = self
            .header
            .info(&name)
            .ok_or_else(|| format!("it has no tensor {name}"))?;
        let element = match info.dtype {
            Dtype::F32 => element::FLOAT,
            Dtype::F16 => element::FLOAT16,
            other => return Err(format!("its tensor {name} is {other:?}, not F32 or F16")),
        };
        let (from, to) = info.data_offsets;
        let entry = |key: &str, value: String| Entry {
            key: key.into(),
            value,
        };
        self.graph.constants.push(Tensor {
            shape: info
                .shape
                .iter()
                .map(|size| integer(*size))
                .collect::<Result<_, _>>()?,
            element,
            name: name.clone(),
            external: vec![
                entry("location", self.weights.into()),
                entry("offset", (self.start + from).to_string()),
                entry("length", (to - from).to_string()),
            ],
            location: 1,
            ..Tensor::default()
        });
        Ok(name)
    }
}

fn integer(size: usize) -> Result<i64, String> {
    i64::try_from(size).map_err(|_| format!("a size of {size} is too large"))
}
