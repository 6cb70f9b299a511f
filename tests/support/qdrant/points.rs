//! Requests about points.

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::points_update_operation::{Operation, PointStructList, SetPayload};
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::*;
use uuid::Uuid;

use super::filter::{is_indexed, meets, uuid};
use super::nearest::normalised;
pub(super) use super::nearest::query;
use super::state::{Answer, Collection, State, Stored, nothing_else, unknown, wrong};

pub(super) fn create_field_index(
    state: &mut State,
    mut request: CreateFieldIndexCollection,
) -> Answer<PointsOperationResponse> {
    let collection = state.collection(&std::mem::take(&mut request.collection_name))?;
    let field_type = request.field_type();
    let field = std::mem::take(&mut request.field_name);
    // How it is kept means nothing here.
    (request.field_type, request.field_index_params) = (None, None);
    (request.wait, request.ordering) = (None, None);
    nothing_else(request)?;
    collection.indexes.insert(field, field_type);
    Ok(PointsOperationResponse {
        result: Some(completed()),
        ..PointsOperationResponse::default()
    })
}

fn completed() -> UpdateResult {
    UpdateResult {
        operation_id: Some(0),
        status: UpdateStatus::Completed.into(),
    }
}

pub(super) fn update_batch(
    state: &mut State,
    mut request: UpdateBatchPoints,
) -> Answer<UpdateBatchResponse> {
    let late = state.late;
    let collection = state.collection(&std::mem::take(&mut request.collection_name))?;
    if request.wait.take() != Some(true) {
        return Err(unknown("a write that does not wait"));
    }
    request.ordering = None;
    let operations = std::mem::take(&mut request.operations);
    nothing_else(request)?;
    if late {
        let result = operations.iter().map(|_| UpdateResult {
            operation_id: Some(0),
            status: UpdateStatus::WaitTimeout.into(),
        });
        return Ok(UpdateBatchResponse {
            result: result.collect(),
            ..UpdateBatchResponse::default()
        });
    }
    let mut result = Vec::new();
    for operation in operations {
        match operation.operation {
            Some(Operation::Upsert(list)) => upsert(collection, list)?,
            Some(Operation::SetPayload(set)) => set_payload(collection, set)?,
            Some(Operation::DeletePoints(mut delete)) => {
                let filter = selected(delete.points.take())?;
                nothing_else(delete)?;
                for id in meeting(collection, Some(&filter))? {
                    collection.points.remove(&id);
                }
            }
            other => return Err(unknown(other)),
        }
        result.push(completed());
    }
    Ok(UpdateBatchResponse {
        result,
        ..UpdateBatchResponse::default()
    })
}

/// The ids of all points that meet the filter.
pub(super) fn meeting(collection: &Collection, filter: Option<&Filter>) -> Answer<Vec<Uuid>> {
    if let Some(filter) = filter {
        is_indexed(filter, &collection.indexes)?;
    }
    let mut ids = Vec::new();
    for (id, stored) in &collection.points {
        let met = filter.map(|filter| meets(filter, *id, &stored.payload));
        if met.transpose()?.unwrap_or(true) {
            ids.push(*id);
        }
    }
    Ok(ids)
}

fn selected(selector: Option<PointsSelector>) -> Answer<Filter> {
    match selector.and_then(|selector| selector.points_selector_one_of) {
        Some(PointsSelectorOneOf::Filter(filter)) => Ok(filter),
        other => Err(unknown(other)),
    }
}

fn upsert(collection: &mut Collection, mut list: PointStructList) -> Answer<()> {
    let (points, condition) = (std::mem::take(&mut list.points), list.update_filter.take());
    nothing_else(list)?;
    // The condition is on what is stored before the operation. Of equal ids the last counts.
    if let Some(condition) = &condition {
        is_indexed(condition, &collection.indexes)?;
    }
    let mut accepted = BTreeMap::new();
    for point in points {
        let id = uuid(&point.id.unwrap_or_default())?;
        let stored = stored(collection, point.payload, point.vectors)?;
        if let (Some(condition), Some(there)) = (&condition, collection.points.get(&id))
            && !meets(condition, id, &there.payload)?
        {
            continue;
        }
        accepted.insert(id, stored);
    }
    collection.points.extend(accepted);
    Ok(())
}

fn stored(
    collection: &Collection,
    payload: HashMap<String, Value>,
    vectors: Option<Vectors>,
) -> Answer<Stored> {
    let Some(vectors::VectorsOptions::Vectors(named)) = vectors.and_then(|it| it.vectors_options)
    else {
        return Err(wrong("Not existing vector name error: "));
    };
    let (mut dense, mut sparse) = (BTreeMap::new(), BTreeMap::new());
    for (name, vector) in named.vectors {
        match vector.vector {
            Some(vector::Vector::Dense(vector)) => {
                let size = collection.dense.get(&name);
                let Some(size) = size else {
                    return Err(wrong(format!("Not existing vector name error: {name}")));
                };
                if vector.data.len() != *size {
                    let why = format!(
                        "Vector dimension error: expected dim: {size}, got {}",
                        vector.data.len()
                    );
                    return Err(wrong(why));
                }
                dense.insert(name, normalised(vector.data));
            }
            Some(vector::Vector::Sparse(vector)) => {
                let mut indices = vector.indices.clone();
                indices.sort_unstable();
                indices.dedup();
                let sizes = [vector.values.len(), indices.len()];
                if !collection.sparse.contains(&name) || sizes != [vector.indices.len(); 2] {
                    return Err(wrong(format!("sparse vector {name}")));
                }
                sparse.insert(name, vector);
            }
            other => return Err(unknown(other)),
        }
    }
    Ok(Stored {
        payload,
        dense,
        sparse,
    })
}

/// A null removes its field.
fn set_payload(collection: &mut Collection, mut set: SetPayload) -> Answer<()> {
    let filter = selected(set.points_selector.take())?;
    let payload = std::mem::take(&mut set.payload);
    nothing_else(set)?;
    for id in meeting(collection, Some(&filter))? {
        let stored = collection.points.get_mut(&id).unwrap();
        for (name, value) in &payload {
            if matches!(value.kind, None | Some(Kind::NullValue(_))) {
                stored.payload.remove(name);
            } else {
                stored.payload.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(())
}

pub(super) fn get(state: &mut State, mut request: GetPoints) -> Answer<GetResponse> {
    let collection = state.collection(&std::mem::take(&mut request.collection_name))?;
    let ids = std::mem::take(&mut request.ids);
    let shape = Shape::of(request.with_payload.take(), request.with_vectors.take())?;
    request.read_consistency = None;
    nothing_else(request)?;
    let mut result = Vec::new();
    for id in ids {
        let id = uuid(&id)?;
        let found = collection.points.get(&id);
        result.extend(found.map(|stored| shape.point(id, stored)));
    }
    // In no order that could be relied on.
    result.reverse();
    Ok(GetResponse {
        result,
        ..GetResponse::default()
    })
}

pub(super) fn scroll(state: &mut State, mut request: ScrollPoints) -> Answer<ScrollResponse> {
    let collection = state.collection(&std::mem::take(&mut request.collection_name))?;
    let shape = Shape::of(request.with_payload.take(), request.with_vectors.take())?;
    let (filter, limit) = (request.filter.take(), request.limit.take().unwrap_or(10));
    let (offset, order_by) = (request.offset.take(), request.order_by.take());
    request.read_consistency = None;
    nothing_else(request)?;
    if limit == 0 {
        return Err(wrong("limit must be at least 1"));
    }
    let limit = usize::try_from(limit).unwrap();
    let mut ids = meeting(collection, filter.as_ref())?;
    let mut next = None;
    match (order_by, offset) {
        (None, offset) => {
            let from = offset.as_ref().map(uuid).transpose()?;
            ids.retain(|id| Some(*id) >= from);
            next = ids.get(limit).map(|id| id.to_string().into());
        }
        (Some(order_by), None) => ids = ordered(collection, ids, order_by)?,
        (Some(_), Some(_)) => return Err(wrong("Cannot use an `offset` with `order_by`")),
    }
    ids.truncate(limit);
    let result = ids
        .into_iter()
        .map(|id| shape.point(id, &collection.points[&id]));
    Ok(ScrollResponse {
        next_page_offset: next,
        result: result.collect(),
        ..ScrollResponse::default()
    })
}

/// By a number that has an index; a point without it is left out.
fn ordered(collection: &Collection, ids: Vec<Uuid>, order_by: OrderBy) -> Answer<Vec<Uuid>> {
    let OrderBy {
        key,
        direction,
        start_from,
    } = order_by;
    if start_from.is_some() || direction.is_some_and(|it| it != i32::from(Direction::Asc)) {
        return Err(unknown((direction, start_from)));
    }
    if collection.indexes.get(&key) != Some(&FieldType::Integer) {
        return Err(wrong(format!("No range index for `order_by` key: `{key}`")));
    }
    let mut keyed: Vec<_> = ids
        .into_iter()
        .filter_map(|id| match collection.points[&id].payload.get(&key)?.kind {
            Some(Kind::IntegerValue(number)) => Some((number, id)),
            _ => None,
        })
        .collect();
    keyed.sort_unstable();
    Ok(keyed.into_iter().map(|(_, id)| id).collect())
}

pub(super) fn count(state: &mut State, mut request: CountPoints) -> Answer<CountResponse> {
    let collection = state.collection(&std::mem::take(&mut request.collection_name))?;
    let filter = request.filter.take();
    (request.exact, request.read_consistency) = (None, None);
    nothing_else(request)?;
    let count = meeting(collection, filter.as_ref())?.len() as u64;
    Ok(CountResponse {
        result: Some(CountResult { count }),
        ..CountResponse::default()
    })
}

/// What is wanted of each point.
pub(super) struct Shape {
    /// Only these fields; none for all.
    fields: Option<Vec<String>>,
    vectors: Vec<String>,
}

impl Shape {
    pub(super) fn of(
        payload: Option<WithPayloadSelector>,
        vectors: Option<WithVectorsSelector>,
    ) -> Answer<Self> {
        use with_payload_selector::SelectorOptions as Fields;
        use with_vectors_selector::SelectorOptions as Names;
        let fields = match payload.and_then(|it| it.selector_options) {
            Some(Fields::Enable(true)) => None,
            Some(Fields::Enable(false)) => Some(Vec::new()),
            Some(Fields::Include(include)) => Some(include.fields),
            other => return Err(unknown(other)),
        };
        let vectors = match vectors.and_then(|it| it.selector_options) {
            Some(Names::Enable(false)) => Vec::new(),
            Some(Names::Include(include)) => include.names,
            other => return Err(unknown(other)),
        };
        Ok(Self { fields, vectors })
    }

    pub(super) fn point(&self, id: Uuid, stored: &Stored) -> RetrievedPoint {
        let wanted = |name: &String| self.fields.as_ref().is_none_or(|it| it.contains(name));
        let payload = stored.payload.iter().filter(|(name, _)| wanted(name));
        let vectors = self.vectors.iter().filter_map(|name| {
            let dense = stored.dense.get(name).cloned();
            let dense = dense.map(|data| vector_output::Vector::Dense(DenseVector { data }));
            let sparse = stored.sparse.get(name).cloned();
            let vector = VectorOutput {
                vector: Some(dense.or(sparse.map(vector_output::Vector::Sparse))?),
                ..VectorOutput::default()
            };
            Some((name.clone(), vector))
        });
        let named = NamedVectorsOutput {
            vectors: vectors.collect(),
        };
        RetrievedPoint {
            id: Some(id.to_string().into()),
            payload: payload
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            vectors: Some(VectorsOutput {
                vectors_options: Some(vectors_output::VectorsOptions::Vectors(named)),
            }),
            ..RetrievedPoint::default()
        }
    }
}
