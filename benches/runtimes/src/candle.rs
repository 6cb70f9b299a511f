//! candle: the BERT of `candle-transformers`, on its own thread pool (`RAYON_NUM_THREADS`).

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

use crate::{Runtime, Tokens};

pub struct Candle(BertModel);

impl Candle {
    pub fn open(folder: &str) -> Result<Self> {
        let config: Config =
            serde_json::from_slice(&std::fs::read(format!("{folder}/config.json"))?)?;
        let weights = std::fs::read(format!("{folder}/model.safetensors"))?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        Ok(Self(BertModel::load(weights, &config)?))
    }
}

impl Runtime for Candle {
    fn states(&mut self, tokens: &Tokens) -> Result<Vec<f32>> {
        let shape = (tokens.rows, tokens.length);
        let ids = Tensor::from_slice(&tokens.ids, shape, &Device::Cpu)?;
        let mask = Tensor::from_slice(&tokens.mask, shape, &Device::Cpu)?;
        let states = self.0.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        Ok(states.flatten_all()?.to_vec1()?)
    }
}
