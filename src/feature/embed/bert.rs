//! The BERT encoder as an ONNX graph whose weights stay where the safetensors file has them; in 8
//! bits, those of the linear layers are its own.
//!
//! ```text
//! tokens ──words + places──> normalise ──┬─> attention ─> + ─> normalise ─> feed forward ─> + ─> normalise ──> states
//!                                        └──────────────────── for each layer ──────────────────────────────┘
//! ```
//!
//! Inputs: `input_ids` and `attention_mask`, both `[batch, sequence]`, each row of the mask ones
//! and then zeros. Output: `last_hidden_state`, `[batch, sequence, hidden]`.

use std::collections::HashMap;

use prost::Message;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::Precision;
use super::onnx::{Attribute, Axis, Entry, Graph, Kind, Model, Node, OperatorSet};
use super::onnx::{Shape, Tensor, TensorKind, Value, element};
use super::quantise::{Quantised, quantise};

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

/// A safetensors file, read.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    /// The name under which the runtime knows its bytes.
    pub(crate) name: &'a str,
    /// The whole file.
    pub(crate) bytes: &'a [u8],
    /// What it says of its tensors.
    pub(crate) header: &'a Metadata,
    /// Where they begin.
    pub(crate) start: usize,
}

/// The graph as bytes; its constants are ranges of the weights' buffer.
///
/// # Errors
/// A text that says which tensor is missing or of a type that cannot be used.
pub(crate) fn graph(
    encoder: &Encoder,
    weights: Weights<'_>,
    precision: Precision,
) -> Result<Vec<u8>, String> {
    let prefix = ["", "bert."]
        .into_iter()
        .find(|prefix| weights.header.info(&format!("{prefix}{WORDS}")).is_some())
        .ok_or_else(|| format!("it has no tensor {WORDS}"))?;
    let mut builder = Builder {
        weights,
        prefix,
        precision,
        quantised: HashMap::new(),
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
    weights: Weights<'a>,
    prefix: &'a str,
    precision: Precision,
    /// The inputs that are in 8 bits already, each with its scale and its zero.
    quantised: HashMap<String, [String; 3]>,
    graph: Graph,
}

impl Builder<'_> {
    fn encoder(&mut self, encoder: &Encoder) -> Result<String, String> {
        let lengths = self.lengths()?;
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
    fn lengths(&mut self) -> Result<String, String> {
        let axis = self.integer(1)?;
        let flat = vec![Attribute::from_integer("keepdims", 0)];
        Ok(self.node("ReduceSum", &["attention_mask", &axis], flat, None))
    }

    /// Word + place + the first token type, which is the type of every token of a single text.
    fn embeddings(&mut self, encoder: &Encoder) -> Result<String, String> {
        let words = self.weight(WORDS)?;
        let places = self.weight("embeddings.position_embeddings.weight")?;
        let types = self.weight("embeddings.token_type_embeddings.weight")?;
        let (zero, one) = (self.integer(0)?, self.integer(1)?);
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
        let weight = format!("{at}.weight");
        let bias = self.weight(&format!("{at}.bias"))?;
        let product = match self.precision {
            Precision::Fp32 => {
                let weight = self.weight(&weight)?;
                let turn = vec![Attribute::from_integers("perm", &[1, 0])];
                let weight = self.node("Transpose", &[&weight], turn, None);
                self.node("MatMul", &[input, &weight], vec![], None)
            }
            Precision::Int8 => self.product_of_bytes(input, &weight)?,
        };
        Ok(self.node("Add", &[&product, &bias], vec![], None))
    }

    /// The same product in 8 bits: the input with one scale, the weight with one for each output.
    fn product_of_bytes(&mut self, input: &str, weight: &str) -> Result<String, String> {
        let [bytes, scale, zero] = self.quantised(input);
        let (values, shape) = self.floats(weight)?;
        let Quantised { values, scales } = quantise(&values, shape[1]);
        let outputs = scales.len();
        let floats = scales
            .iter()
            .flat_map(|scale| scale.to_le_bytes())
            .collect();
        let scales = self.constant(&[outputs], element::FLOAT, floats)?;
        let zeros = self.constant(&[outputs], element::INT8, vec![0; outputs])?;
        let values = self.constant(&[shape[1], outputs], element::INT8, values)?;
        let inputs = [&bytes, &values, &zero, &zeros].map(String::as_str);
        let product = self.node("MatMulInteger", &inputs, vec![], None);
        let to_float = vec![Attribute::from_integer("to", element::FLOAT.into())];
        let product = self.node("Cast", &[&product], to_float, None);
        let scales = self.node("Mul", &[&scale, &scales], vec![], None);
        Ok(self.node("Mul", &[&product, &scales], vec![], None))
    }

    /// A value in 8 bits, once for all who read it.
    fn quantised(&mut self, input: &str) -> [String; 3] {
        if let Some(known) = self.quantised.get(input) {
            return known.clone();
        }
        let outputs = ["bytes", "scale", "zero"].map(|part| format!("{input}.{part}"));
        self.graph.nodes.push(Node {
            inputs: vec![input.to_owned()],
            outputs: outputs.to_vec(),
            operator: "DynamicQuantizeLinear".into(),
            attributes: vec![],
        });
        self.quantised.insert(input.to_owned(), outputs.clone());
        outputs
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
    fn integer(&mut self, value: i64) -> Result<String, String> {
        self.constant(&[1], element::INT64, value.to_le_bytes().to_vec())
    }

    /// A constant whose bytes are a part of the graph.
    fn constant(
        &mut self,
        shape: &[usize],
        element: i32,
        bytes: Vec<u8>,
    ) -> Result<String, String> {
        let name = format!("constant.{}", self.graph.constants.len());
        self.graph.constants.push(Tensor {
            shape: sizes(shape)?,
            element,
            name: name.clone(),
            bytes: Some(bytes),
            ..Tensor::default()
        });
        Ok(name)
    }

    /// A tensor of the file, where it lies.
    fn weight(&mut self, name: &str) -> Result<String, String> {
        let (name, info) = self.info(name)?;
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
            shape: sizes(&info.shape)?,
            element,
            name: name.clone(),
            external: vec![
                entry("location", self.weights.name.into()),
                entry("offset", (self.weights.start + from).to_string()),
                entry("length", (to - from).to_string()),
            ],
            location: 1,
            ..Tensor::default()
        });
        Ok(name)
    }

    /// The values of a matrix of the file.
    fn floats(&self, name: &str) -> Result<(Vec<f32>, [usize; 2]), String> {
        let (name, info) = self.info(name)?;
        let (Dtype::F32, &[outputs, inputs]) = (info.dtype, info.shape.as_slice()) else {
            return Err(format!(
                "its tensor {name} is no matrix of F32, which int8 is made from"
            ));
        };
        let (from, to) = info.data_offsets;
        let range = self.weights.start + from..self.weights.start + to;
        let bytes = self.weights.bytes.get(range);
        let (bytes, _) = bytes
            .ok_or_else(|| format!("its tensor {name} is cut off"))?
            .as_chunks::<4>();
        let values = bytes
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        Ok((values, [outputs, inputs]))
    }

    /// A tensor's whole name and what the file says of it.
    fn info(&self, name: &str) -> Result<(String, TensorInfo), String> {
        let name = format!("{}{name}", self.prefix);
        let info = self.weights.header.info(&name).cloned();
        let info = info.ok_or_else(|| format!("it has no tensor {name}"))?;
        Ok((name, info))
    }
}

fn sizes(shape: &[usize]) -> Result<Vec<i64>, String> {
    shape.iter().map(|size| integer(*size)).collect()
}

fn integer(size: usize) -> Result<i64, String> {
    i64::try_from(size).map_err(|_| format!("a size of {size} is too large"))
}
