//! Filters, evaluated as the protocol describes them.

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::condition::ConditionOneOf;
use ::qdrant_client::qdrant::r#match::MatchValue;
use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::{
    Condition, FieldCondition, FieldType, Filter, PointId, Range, Value,
};
use tonic::Status;
use uuid::Uuid;

use super::state::{nothing_else, unknown, wrong};

type Payload = HashMap<String, Value>;

/// Whether a point meets the filter.
pub(crate) fn meets(filter: &Filter, id: Uuid, payload: &Payload) -> Result<bool, Status> {
    if filter.min_should.is_some() {
        return Err(unknown("min_should"));
    }
    let all = |conditions: &[Condition]| -> Result<Vec<bool>, Status> {
        let met = conditions.iter().map(|one| condition(one, id, payload));
        met.collect()
    };
    let (must, should) = (all(&filter.must)?, all(&filter.should)?);
    let must_not = all(&filter.must_not)?;
    Ok(!must.contains(&false)
        && (should.is_empty() || should.contains(&true))
        && !must_not.contains(&true))
}

/// Refuses a condition on a field without an index, as servers in strict mode do.
pub(crate) fn is_indexed(
    filter: &Filter,
    indexes: &BTreeMap<String, FieldType>,
) -> Result<(), Status> {
    let conditions = filter.must.iter().chain(&filter.should);
    for one in conditions.chain(&filter.must_not) {
        let key = match &one.condition_one_of {
            Some(ConditionOneOf::Filter(inner)) => {
                is_indexed(inner, indexes)?;
                continue;
            }
            Some(ConditionOneOf::IsEmpty(empty)) => &empty.key,
            Some(ConditionOneOf::Field(field)) => &field.key,
            _ => continue,
        };
        if !indexes.contains_key(key) {
            return Err(wrong(format!("index required but not found for {key:?}")));
        }
    }
    Ok(())
}

fn condition(condition: &Condition, id: Uuid, payload: &Payload) -> Result<bool, Status> {
    match &condition.condition_one_of {
        Some(ConditionOneOf::Filter(inner)) => meets(inner, id, payload),
        Some(ConditionOneOf::HasId(ids)) => {
            let ids: Vec<Uuid> = ids.has_id.iter().map(uuid).collect::<Result<_, _>>()?;
            Ok(ids.contains(&id))
        }
        Some(ConditionOneOf::IsEmpty(empty)) => Ok(values(payload, &empty.key)?
            .iter()
            .all(|value| matches!(value.kind, None | Some(Kind::NullValue(_))))),
        Some(ConditionOneOf::Field(field)) => field_condition(field, payload),
        other => Err(unknown(other)),
    }
}

/// The values of a field; a list has each of its own.
fn values<'a>(payload: &'a Payload, key: &str) -> Result<Vec<&'a Value>, Status> {
    if key.contains(['.', '[', '"']) {
        return Err(unknown(key));
    }
    Ok(match payload.get(key) {
        None => Vec::new(),
        Some(value) => match &value.kind {
            Some(Kind::ListValue(list)) => list.values.iter().collect(),
            _ => vec![value],
        },
    })
}

fn field_condition(field: &FieldCondition, payload: &Payload) -> Result<bool, Status> {
    let mut rest = field.clone();
    let values = values(payload, &std::mem::take(&mut rest.key))?;
    let (wanted, range) = (rest.r#match.take(), rest.range.take());
    nothing_else(rest)?;
    match (wanted.and_then(|wanted| wanted.match_value), range) {
        (Some(wanted), None) => {
            let met = values.iter().map(|value| equals(value, &wanted));
            Ok(met.collect::<Result<Vec<_>, _>>()?.contains(&true))
        }
        (None, Some(range)) => Ok(values.iter().any(|value| within(value, &range))),
        _ => Err(wrong("a field condition has one kind")),
    }
}

fn equals(value: &Value, wanted: &MatchValue) -> Result<bool, Status> {
    let text = match &value.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    };
    Ok(match wanted {
        MatchValue::Keyword(wanted) => text == Some(wanted),
        MatchValue::Keywords(wanted) => text.is_some_and(|text| wanted.strings.contains(text)),
        MatchValue::Integer(wanted) => value.kind == Some(Kind::IntegerValue(*wanted)),
        MatchValue::Boolean(wanted) => value.kind == Some(Kind::BoolValue(*wanted)),
        other => return Err(unknown(other)),
    })
}

/// Numbers compare as 64-bit floats, as the protocol has them.
#[expect(clippy::cast_precision_loss, reason = "a server loses it too")]
fn within(value: &Value, range: &Range) -> bool {
    let number = match value.kind {
        Some(Kind::IntegerValue(integer)) => integer as f64,
        Some(Kind::DoubleValue(float)) => float,
        _ => return false,
    };
    range.lt.is_none_or(|end| number < end)
        && range.lte.is_none_or(|end| number <= end)
        && range.gt.is_none_or(|end| number > end)
        && range.gte.is_none_or(|end| number >= end)
}

/// The id of a point; only UUIDs are served.
pub(super) fn uuid(id: &PointId) -> Result<Uuid, Status> {
    match &id.point_id_options {
        Some(PointIdOptions::Uuid(text)) => {
            Uuid::parse_str(text).map_err(|_| wrong(format!("Unable to parse UUID: {text}")))
        }
        other => Err(unknown(other)),
    }
}
