//! Making collections: what is in their configuration, and which fields have an index. Repeatable.

#![expect(
    deprecated,
    reason = "what replaces the flags of memory and disk is not known to servers of version 1.16"
)]

use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    BinaryQuantization, CreateCollection, CreateFieldIndexCollection, DatetimeIndexParams,
    Distance, FieldType, IntegerIndexParams, KeywordIndexParams, Modifier, PayloadIndexParams,
    QuantizationConfig, QuantizationType, ScalarQuantization, SparseIndexConfig,
    SparseVectorConfig, SparseVectorParams, VectorParams, VectorParamsMap, VectorsConfig,
};

use super::guard::{KEY_ID, KIND, STAMP, WATERMARK};
use super::link::Link;
use super::name::Family;
use super::settings::{Quantisation, Settings};
use super::{control, order, payload, register};
use crate::Result;

/// A field that is filtered or ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    /// Equal texts.
    Keyword,
    /// Equal numbers, and ranges of them.
    Number,
    /// Order alone.
    Order,
    /// Yes and no.
    Truth,
    /// Ranges of dates.
    Date,
}

/// The indexes of a type's collection.
fn indexes(family: Family) -> Vec<(&'static str, Index)> {
    let mut indexes = vec![
        (KIND, Index::Keyword),
        (KEY_ID, Index::Keyword),
        (payload::AUTHOR_ID, Index::Keyword),
    ];
    indexes.extend(STAMP.map(|name| (name, Index::Number)));
    indexes.extend(payload::DATES.map(|name| (name, Index::Date)));
    if family == Family::Vector {
        indexes.push((payload::LABELS, Index::Keyword));
        indexes.push((payload::DATED, Index::Number));
    }
    if family == Family::Cleaned {
        indexes.push((payload::DELETED, Index::Truth));
        indexes.extend(order::FIELDS.map(|name| (name, Index::Order)));
    }
    indexes
}

/// Makes a type's collection, where it is not there, and the indexes that it lacks.
pub(super) async fn make(link: &Link, name: &str, family: Family, dimension: usize) -> Result<()> {
    let settings = &link.settings;
    let request = match family {
        Family::Cleaned => bare(name, settings),
        Family::Vector => with_vectors(name, settings, dimension),
    };
    create(link, request).await?;
    index_all(link, name, &indexes(family)).await
}

/// Makes the indexes that a type's collection lacks.
pub(super) async fn index(link: &Link, name: &str, family: Family) -> Result<()> {
    index_all(link, name, &indexes(family)).await
}

/// Makes the collection of the control state. What it is asked and written by is indexed, however little it holds:
/// servers in strict mode refuse any other condition.
pub(super) async fn make_control(link: &Link, name: &str) -> Result<()> {
    create(link, bare(name, &link.settings)).await?;
    let mut indexes = vec![
        (control::WHAT, Index::Keyword),
        (control::FLOOR_ID, Index::Keyword),
        (control::EDITION, Index::Number),
        (register::CHANGE, Index::Number),
    ];
    // A version's components are among those of a watermark.
    indexes.extend(WATERMARK.map(|name| (name, Index::Number)));
    index_all(link, name, &indexes).await
}

async fn create(link: &Link, request: CreateCollection) -> Result<()> {
    let name = request.collection_name.clone();
    if exists(link, &name).await? {
        return Ok(());
    }
    match link.client.create_collection(request).await {
        Ok(_) => Ok(()),
        // Another worker made it in between.
        Err(_) if exists(link, &name).await? => Ok(()),
        Err(error) => Err(link.fault("create a collection")(error)),
    }
}

/// Whether a collection, or an alias, of this name is there.
pub(super) async fn exists(link: &Link, name: &str) -> Result<bool> {
    let answer = link.client.collection_exists(name).await;
    answer.map_err(link.fault("look for a collection"))
}

async fn index_all(link: &Link, name: &str, indexes: &[(&'static str, Index)]) -> Result<()> {
    let info = link.client.collection_info(name).await;
    let info = info.map_err(link.fault("describe a collection"))?;
    let there = info.result.unwrap_or_default().payload_schema;
    for (field, index) in indexes {
        if there.contains_key(*field) {
            continue;
        }
        let (field_type, params) = index.params(link.settings.on_disk);
        let request = CreateFieldIndexCollection {
            collection_name: name.to_owned(),
            wait: Some(true),
            field_name: (*field).to_owned(),
            field_type: Some(field_type.into()),
            field_index_params: params.map(|params| PayloadIndexParams {
                index_params: Some(params),
            }),
            ordering: Some(Link::ordering()),
            timeout: None,
        };
        let made = link.client.create_field_index(request).await;
        made.map_err(link.fault("create an index"))?;
    }
    Ok(())
}

impl Index {
    fn params(self, on_disk: bool) -> (FieldType, Option<IndexParams>) {
        let on_disk = Some(on_disk);
        let number = |lookup| IntegerIndexParams {
            lookup: Some(lookup),
            range: Some(true),
            on_disk,
            ..IntegerIndexParams::default()
        };
        match self {
            Self::Keyword => {
                let params = KeywordIndexParams {
                    on_disk,
                    ..KeywordIndexParams::default()
                };
                let params = IndexParams::KeywordIndexParams(params);
                (FieldType::Keyword, Some(params))
            }
            Self::Number => {
                let params = IndexParams::IntegerIndexParams(number(true));
                (FieldType::Integer, Some(params))
            }
            Self::Order => {
                let params = IndexParams::IntegerIndexParams(number(false));
                (FieldType::Integer, Some(params))
            }
            Self::Truth => (FieldType::Bool, None),
            Self::Date => {
                let params = DatetimeIndexParams {
                    on_disk,
                    ..DatetimeIndexParams::default()
                };
                let params = IndexParams::DatetimeIndexParams(params);
                (FieldType::Datetime, Some(params))
            }
        }
    }
}

/// A collection without vectors.
fn bare(name: &str, settings: &Settings) -> CreateCollection {
    CreateCollection {
        collection_name: name.to_owned(),
        vectors_config: Some(VectorsConfig {
            config: Some(Config::ParamsMap(VectorParamsMap::default())),
        }),
        on_disk_payload: Some(true),
        shard_number: (settings.shards > 0).then_some(settings.shards),
        replication_factor: Some(settings.replicas),
        write_consistency_factor: Some(settings.majority()),
        ..CreateCollection::default()
    }
}

fn with_vectors(name: &str, settings: &Settings, dimension: usize) -> CreateCollection {
    let dense = VectorParams {
        size: dimension as u64,
        distance: Distance::Cosine.into(),
        on_disk: Some(settings.on_disk),
        ..VectorParams::default()
    };
    let sparse = SparseVectorParams {
        index: Some(SparseIndexConfig {
            on_disk: Some(settings.on_disk),
            ..SparseIndexConfig::default()
        }),
        modifier: Some(Modifier::Idf.into()),
    };
    CreateCollection {
        vectors_config: Some(VectorsConfig {
            config: Some(Config::ParamsMap(VectorParamsMap {
                map: [(payload::DENSE.to_owned(), dense)].into(),
            })),
        }),
        sparse_vectors_config: Some(SparseVectorConfig {
            map: [(payload::SPARSE.to_owned(), sparse)].into(),
        }),
        quantization_config: quantisation(settings.quantisation),
        on_disk_payload: Some(settings.on_disk),
        ..bare(name, settings)
    }
}

/// The small copies stay in memory: with them on the disk too nothing would be won.
fn quantisation(quantisation: Quantisation) -> Option<QuantizationConfig> {
    let quantisation = match quantisation {
        Quantisation::None => return None,
        Quantisation::Scalar => Quantization::Scalar(ScalarQuantization {
            r#type: QuantizationType::Int8.into(),
            // Leaves out the one value in a hundred that would coarsen all others.
            quantile: Some(0.99),
            always_ram: Some(true),
            ..ScalarQuantization::default()
        }),
        Quantisation::Binary => Quantization::Binary(BinaryQuantization {
            always_ram: Some(true),
            ..BinaryQuantization::default()
        }),
    };
    Some(QuantizationConfig {
        quantization: Some(quantisation),
    })
}
