//! A batch of texts through the tokenizer, the graph and the pooling.

use std::sync::Arc;

use rten::{NodeId, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};
use tokenizers::Tokenizer;

use super::Model;
use super::folder::Pooling;
use crate::{Error, Result};

/// A loaded model; all its methods may be called from several threads at once.
pub(crate) struct Inference {
    tokenizer: Arc<Tokenizer>,
    graph: rten::Model,
    inputs: Inputs,
    states: NodeId,
    pooling: Pooling,
    dimension: usize,
    token_limit: usize,
}

/// Where the graph takes its inputs.
struct Inputs {
    tokens: NodeId,
    mask: NodeId,
    /// Graphs made elsewhere ask for it; it is zero for every token of a single text.
    types: Option<NodeId>,
}

impl Inference {
    /// Finds the inputs and the output of the graph.
    ///
    /// # Errors
    /// A text that says what the graph lacks.
    pub(crate) fn new(
        model: &Model,
        tokenizer: Arc<Tokenizer>,
        graph: rten::Model,
        pooling: Pooling,
    ) -> Result<Self, String> {
        let lacks = |name: &str| format!("its graph has no input {name}; use another model.onnx");
        let input = |name: &str| graph.find_node(name).ok_or_else(|| lacks(name));
        let inputs = Inputs {
            tokens: input("input_ids")?,
            mask: input("attention_mask")?,
            types: graph.find_node("token_type_ids"),
        };
        let states = ["last_hidden_state", "token_embeddings"]
            .into_iter()
            .find_map(|name| {
                graph
                    .find_node(name)
                    .filter(|id| graph.output_ids().contains(id))
            })
            .ok_or("its graph has no output last_hidden_state; use another model.onnx")?;
        Ok(Self {
            tokenizer,
            inputs,
            states,
            graph,
            pooling,
            dimension: model.dimension,
            token_limit: model.token_limit,
        })
    }

    /// The vectors of texts, in their order, computed together on these cores.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a text over the token limit.
    pub(crate) fn vectors(
        &self,
        texts: &[String],
        cores: &Arc<ThreadPool>,
    ) -> Result<Vec<Vec<f32>>> {
        let rows = texts
            .iter()
            .map(|text| self.tokens(text))
            .collect::<Result<Vec<_>>>()?;
        let states = self.states(&rows, cores)?;
        let states: NdTensorView<f32, 3> = states.view();
        let pool = |(index, row): (usize, &Vec<i32>)| {
            let states = states.slice(index);
            let kept = match self.pooling {
                Pooling::Mean => row.len(),
                Pooling::First => 1,
            };
            let mut vector = vec![0.0; self.dimension];
            for place in 0..kept {
                for (sum, value) in vector.iter_mut().zip(states.slice(place).iter()) {
                    *sum += value;
                }
            }
            // The mean is the sum over a count, which the unit length takes away again.
            super::normalise(&mut vector);
            vector
        };
        Ok(rows.iter().enumerate().map(pool).collect())
    }

    fn tokens(&self, text: &str) -> Result<Vec<i32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, true)
            .map_err(|error| Error::malformed("a text to embed", error.to_string()))?;
        let ids = encoding.get_ids();
        if ids.len() > self.token_limit {
            return Err(super::over_limit(ids.len(), self.token_limit));
        }
        Ok(ids.iter().map(|id| id.cast_signed()).collect())
    }

    fn states(&self, rows: &[Vec<i32>], cores: &Arc<ThreadPool>) -> Result<NdTensor<f32, 3>> {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let shape = [rows.len(), longest];
        let at = |[row, place]: [usize; 2]| rows.get(row).and_then(|row| row.get(place));
        let tokens = NdTensor::<i32, 2>::from_fn(shape, |index| at(index).copied().unwrap_or(0));
        let mask = NdTensor::<i32, 2>::from_fn(shape, |index| i32::from(at(index).is_some()));
        let mut inputs = vec![
            (self.inputs.tokens, tokens.into()),
            (self.inputs.mask, mask.into()),
        ];
        if let Some(types) = self.inputs.types {
            inputs.push((types, NdTensor::<i32, 2>::zeros(shape).into()));
        }
        let options = RunOptions::default().with_thread_pool(Some(cores.clone()));
        let bad = |why: String| Error::Model {
            path: "graph".into(),
            why,
        };
        let mut outputs = self
            .graph
            .run(inputs, &[self.states], Some(options))
            .map_err(|error| bad(error.to_string()))?;
        let states: NdTensor<f32, 3> = outputs
            .pop()
            .and_then(|value| value.try_into().ok())
            .ok_or_else(|| bad("its output is no tensor of three axes".into()))?;
        let wanted = [rows.len(), longest, self.dimension];
        if states.shape() == wanted {
            Ok(states)
        } else {
            Err(bad(format!(
                "its output has the shape {:?}, not {wanted:?}",
                states.shape()
            )))
        }
    }
}
