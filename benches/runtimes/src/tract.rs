//! tract: an ONNX file, optimised for each shape that is asked; a batch is shared among threads.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use tract_onnx::prelude::*;

use crate::{Runtime, Tokens};

pub struct Tract {
    path: String,
    threads: usize,
    plans: HashMap<(usize, usize), Arc<TypedRunnableModel>>,
}

impl Tract {
    pub fn open(path: &str, threads: usize) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            threads,
            plans: HashMap::new(),
        })
    }

    fn plan(&mut self, shape: (usize, usize)) -> Result<Arc<TypedRunnableModel>> {
        if let Some(plan) = self.plans.get(&shape) {
            return Ok(plan.clone());
        }
        let fact = InferenceFact::dt_shape(i64::datum_type(), tvec!(shape.0, shape.1));
        let plan = tract_onnx::onnx()
            .model_for_path(&self.path)?
            .with_input_fact(0, fact.clone())?
            .with_input_fact(1, fact)?
            .into_optimized()?
            .into_runnable()?;
        self.plans.insert(shape, plan.clone());
        Ok(plan)
    }
}

fn run(plan: &Arc<TypedRunnableModel>, shape: (usize, usize), inputs: [&[i64]; 2]) -> Result<Vec<f32>> {
    let tensor = |values: &[i64]| Tensor::from_shape(&[shape.0, shape.1], values);
    let inputs = tvec!(tensor(inputs[0])?.into_tvalue(), tensor(inputs[1])?.into_tvalue());
    let outputs = plan.run(inputs)?;
    Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
}

impl Runtime for Tract {
    fn states(&mut self, tokens: &Tokens) -> Result<Vec<f32>> {
        let rows = tokens.rows.div_ceil(self.threads);
        let mut parts = Vec::new();
        for ids in tokens.ids.chunks(rows * tokens.length) {
            let shape = (ids.len() / tokens.length, tokens.length);
            parts.push((self.plan(shape)?, shape));
        }
        let size = rows * tokens.length;
        std::thread::scope(|scope| {
            let inputs = tokens.ids.chunks(size).zip(tokens.mask.chunks(size));
            let started: Vec<_> = parts
                .iter()
                .zip(inputs)
                .map(|((plan, shape), (ids, mask))| scope.spawn(|| run(plan, *shape, [ids, mask])))
                .collect();
            let mut states = Vec::new();
            for part in started {
                states.extend(part.join().ok().context("a thread panicked")??);
            }
            Ok(states)
        })
    }
}
