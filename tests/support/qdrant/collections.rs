//! Requests about collections and aliases.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "every request has a function of one form"
)]

use ::qdrant_client::qdrant::alias_operations::Action;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use super::state::{Answer, Collection, State, nothing_else, unknown, wrong};

pub(super) fn get(
    state: &mut State,
    request: GetCollectionInfoRequest,
) -> Answer<GetCollectionInfoResponse> {
    let collection = state.collection(&request.collection_name)?;
    let schema = collection.indexes.iter().map(|(field, field_type)| {
        let data_type = match field_type {
            FieldType::Keyword => PayloadSchemaType::Keyword,
            FieldType::Integer => PayloadSchemaType::Integer,
            FieldType::Bool => PayloadSchemaType::Bool,
            FieldType::Datetime => PayloadSchemaType::Datetime,
            other => return Err(unknown(other)),
        };
        let info = PayloadSchemaInfo {
            data_type: data_type.into(),
            ..PayloadSchemaInfo::default()
        };
        Ok((field.clone(), info))
    });
    let params = CollectionParams {
        vectors_config: collection.created.vectors_config.clone(),
        sparse_vectors_config: collection.created.sparse_vectors_config.clone(),
        ..CollectionParams::default()
    };
    let info = CollectionInfo {
        status: CollectionStatus::Green.into(),
        payload_schema: schema.collect::<Result<_, _>>()?,
        config: Some(CollectionConfig {
            params: Some(params),
            ..CollectionConfig::default()
        }),
        ..CollectionInfo::default()
    };
    Ok(GetCollectionInfoResponse {
        result: Some(info),
        time: 0.0,
    })
}

pub(super) fn list(
    state: &mut State,
    _: ListCollectionsRequest,
) -> Answer<ListCollectionsResponse> {
    let names = state.collections.keys().cloned();
    Ok(ListCollectionsResponse {
        collections: names.map(|name| CollectionDescription { name }).collect(),
        time: 0.0,
    })
}

#[expect(deprecated, reason = "servers of version 1.16 know no other flag")]
pub(super) fn create(
    state: &mut State,
    mut request: CreateCollection,
) -> Answer<CollectionOperationResponse> {
    let name = std::mem::take(&mut request.collection_name);
    let forbidden = ['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1f}'];
    if name.is_empty() || name.len() > 255 || name.contains(forbidden) {
        return Err(wrong(format!("collection name {name:?}")));
    }
    if state.collections.contains_key(&name) || state.aliases.contains_key(&name) {
        return Err(wrong(format!("Collection `{name}` already exists!")));
    }
    let created = request.clone();
    let Some(Config::ParamsMap(dense)) = request.vectors_config.take().and_then(|it| it.config)
    else {
        return Err(unknown("one unnamed vector"));
    };
    let mut sizes = std::collections::BTreeMap::new();
    for (name, params) in dense.map {
        if params.distance != i32::from(Distance::Cosine) || params.size == 0 {
            return Err(unknown(params));
        }
        sizes.insert(name, usize::try_from(params.size).unwrap());
    }
    let sparse = request.sparse_vectors_config.take().unwrap_or_default();
    // What is a matter of memory and of copies means nothing here.
    request.on_disk_payload = None;
    request.shard_number = None;
    request.replication_factor = None;
    request.write_consistency_factor = None;
    request.quantization_config = None;
    nothing_else(request)?;
    let collection = Collection {
        created,
        dense: sizes,
        sparse: sparse.map.into_keys().collect(),
        indexes: [].into(),
        points: [].into(),
    };
    state.collections.insert(name, collection);
    Ok(done())
}

fn done() -> CollectionOperationResponse {
    CollectionOperationResponse {
        result: true,
        time: 0.0,
    }
}

pub(super) fn delete(
    state: &mut State,
    request: DeleteCollection,
) -> Answer<CollectionOperationResponse> {
    let name = request.collection_name;
    let result = state.collections.remove(&name).is_some();
    state.aliases.retain(|_, collection| *collection != name);
    Ok(CollectionOperationResponse { result, time: 0.0 })
}

pub(super) fn collection_exists(
    state: &mut State,
    request: CollectionExistsRequest,
) -> Answer<CollectionExistsResponse> {
    let exists = state.collection(&request.collection_name).is_ok();
    Ok(CollectionExistsResponse {
        result: Some(CollectionExists { exists }),
        time: 0.0,
    })
}

pub(super) fn list_aliases(
    state: &mut State,
    _: ListAliasesRequest,
) -> Answer<ListAliasesResponse> {
    let aliases = state.aliases.iter().map(|(alias, name)| AliasDescription {
        alias_name: alias.clone(),
        collection_name: name.clone(),
    });
    Ok(ListAliasesResponse {
        aliases: aliases.collect(),
        time: 0.0,
    })
}

/// All of them, or none.
pub(super) fn update_aliases(
    state: &mut State,
    request: ChangeAliases,
) -> Answer<CollectionOperationResponse> {
    let mut aliases = state.aliases.clone();
    for operation in request.actions {
        match operation.action {
            Some(Action::CreateAlias(create)) => {
                if !state.collections.contains_key(&create.collection_name) {
                    let name = create.collection_name;
                    let why = format!("Not found: Collection `{name}` doesn't exist!");
                    return Err(Status::not_found(why));
                }
                if state.collections.contains_key(&create.alias_name) {
                    return Err(wrong(format!("{} is a collection", create.alias_name)));
                }
                aliases.insert(create.alias_name, create.collection_name);
            }
            Some(Action::DeleteAlias(delete)) => {
                aliases.remove(&delete.alias_name);
            }
            other => return Err(unknown(other)),
        }
    }
    state.aliases = aliases;
    Ok(done())
}
