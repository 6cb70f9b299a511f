//! The filters of the tests' server against Qdrant's own engine: the same answers to random questions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{Condition, Filter, ListValue, Range, RepeatedStrings, Value};
use qdrant_edge::{
    Distance, EdgeConfig, EdgeShard, EdgeVectorParamsBuilder, PointId, PointInsertOperations,
    PointOperations, PointStruct, ScrollRequest, UpdateOperation, Vectors, WithPayloadInterface,
    WithVector,
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::support::qdrant::meets;

const POINTS: u128 = 60;
const QUESTIONS: usize = 400;
const NUMBERS: [&str; 3] = ["a", "b", "c"];

/// Points and questions by a seed.
struct Random(fastrand::Rng);

impl Random {
    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.0.usize(..among.len())].clone()
    }

    fn payload(&mut self) -> Json {
        let mut payload = serde_json::Map::new();
        let edge = [json!(0), json!(1), json!(u32::MAX), json!([0, u32::MAX])];
        for name in NUMBERS {
            if self.0.u8(..8) > 0 {
                payload.insert(name.to_owned(), self.pick(&edge));
            }
        }
        let texts = [json!("x"), json!("two words"), json!(""), Json::Null];
        if self.0.u8(..4) > 0 {
            payload.insert("text".to_owned(), self.pick(&texts));
        }
        if self.0.bool() {
            payload.insert("truth".to_owned(), json!(self.0.bool()));
        }
        Json::Object(payload)
    }

    fn filter(&mut self, depth: u8) -> Filter {
        let mut some = |most: usize| -> Vec<Condition> {
            (0..self.0.usize(..=most))
                .map(|_| self.condition(depth))
                .collect()
        };
        Filter {
            must: some(2),
            should: some(2),
            must_not: some(1),
            min_should: None,
        }
    }

    fn condition(&mut self, depth: u8) -> Condition {
        let number = self.pick(&NUMBERS);
        let end = self.pick(&[0_u32, 1, u32::MAX - 1, u32::MAX]);
        let text = self.pick(&["x", "two words", "", "y"]).to_owned();
        let below = |range: Range| Condition::range(number, range);
        match self.0.u8(..if depth > 0 { 10 } else { 7 }) {
            0 => Condition::matches(number, i64::from(end)),
            1 => below(Range {
                lt: Some(end.into()),
                ..Range::default()
            }),
            2 => below(Range {
                lte: Some(end.into()),
                gt: Some(0.0),
                ..Range::default()
            }),
            3 => Condition::matches("text", MatchValue::Keyword(text)),
            4 => {
                let strings = vec![text, "x".to_owned()];
                Condition::matches("text", MatchValue::Keywords(RepeatedStrings { strings }))
            }
            5 => Condition::matches("truth", self.0.bool()),
            6 => {
                let id = Uuid::from_u128(self.0.u128(..POINTS)).to_string();
                self.pick(&[Condition::has_id([id]), Condition::is_empty("text")])
            }
            _ => self.filter(depth - 1).into(),
        }
    }
}

/// The payload as the protocol has it.
fn wire(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => Kind::IntegerValue(number.as_i64().unwrap()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(wire).collect(),
        }),
        Json::Object(_) => panic!("no payload here holds an object"),
    };
    Value { kind: Some(kind) }
}

/// The filter as the engine reads it.
fn engine(filter: &Filter) -> Json {
    let all = |conditions: &[Condition]| conditions.iter().map(engine_condition).collect::<Json>();
    let mut json = json!({"must": all(&filter.must), "must_not": all(&filter.must_not)});
    if !filter.should.is_empty() {
        json["should"] = all(&filter.should);
    }
    json
}

fn engine_condition(condition: &Condition) -> Json {
    match condition.condition_one_of.as_ref().unwrap() {
        ConditionOneOf::Filter(inner) => engine(inner),
        ConditionOneOf::IsEmpty(empty) => json!({"is_empty": {"key": empty.key}}),
        ConditionOneOf::HasId(ids) => {
            let ids = ids.has_id.iter().map(|id| match &id.point_id_options {
                Some(PointIdOptions::Uuid(text)) => json!(text),
                other => panic!("{other:?} is no id of this test"),
            });
            json!({"has_id": ids.collect::<Json>()})
        }
        ConditionOneOf::Field(field) => {
            let mut json = json!({"key": field.key});
            if let Some(range) = &field.range {
                json["range"] = json!({"lt": range.lt, "gt": range.gt, "lte": range.lte});
            }
            match field
                .r#match
                .as_ref()
                .and_then(|it| it.match_value.as_ref())
            {
                Some(MatchValue::Keyword(text)) => json["match"] = json!({"value": text}),
                Some(MatchValue::Keywords(any)) => json["match"] = json!({"any": any.strings}),
                Some(MatchValue::Integer(number)) => json["match"] = json!({"value": number}),
                Some(MatchValue::Boolean(truth)) => json["match"] = json!({"value": truth}),
                _ => {}
            }
            json
        }
        other => panic!("{other:?} is no condition of this test"),
    }
}

fn open(folder: &Path) -> EdgeShard {
    let vector = EdgeVectorParamsBuilder::new(1, Distance::Dot).build();
    let config = EdgeConfig::builder().vector("dense", vector).build();
    EdgeShard::load(folder, Some(config)).unwrap()
}

fn put(shard: &EdgeShard, id: Uuid, payload: Json) {
    let vectors = Vectors::new_named([("dense", vec![1.0])]);
    let point = PointStruct::new(PointId::Uuid(id), vectors, payload);
    let list = PointInsertOperations::PointsList(vec![point.into()]);
    let upsert = UpdateOperation::PointOperation(PointOperations::UpsertPoints(list));
    shard.update(upsert).unwrap();
}

fn answers(shard: &EdgeShard, filter: &Filter) -> BTreeSet<String> {
    let scroll = ScrollRequest {
        offset: None,
        limit: Some(usize::MAX),
        filter: Some(serde_json::from_value(engine(filter)).unwrap()),
        with_payload: Some(WithPayloadInterface::Bool(false)),
        with_vector: WithVector::Bool(false),
        order_by: None,
    };
    let (found, _) = shard.scroll(scroll).unwrap();
    found.iter().map(|point| point.id.to_string()).collect()
}

#[test]
fn filters_answer_as_qdrants_engine_does() {
    let mut random = Random(fastrand::Rng::with_seed(4));
    let folder = tempfile::tempdir().unwrap();
    let shard = open(folder.path());
    let mut points = BTreeMap::new();
    for number in 0..POINTS {
        let (id, payload) = (Uuid::from_u128(number), random.payload());
        put(&shard, id, payload.clone());
        let fields = payload.as_object().unwrap();
        let fields: HashMap<String, Value> = fields
            .iter()
            .map(|(name, json)| (name.clone(), wire(json)))
            .collect();
        points.insert(id, fields);
    }
    let mut sizes = BTreeSet::new();
    for _ in 0..QUESTIONS {
        let filter = random.filter(2);
        let ours: BTreeSet<_> = points
            .iter()
            .filter(|(id, payload)| meets(&filter, **id, payload).unwrap())
            .map(|(id, _)| id.to_string())
            .collect();
        assert_eq!(ours, answers(&shard, &filter), "{}", engine(&filter));
        sizes.insert(ours.len());
    }
    assert!(
        sizes.len() > 20,
        "questions that tell points apart: {sizes:?}"
    );
}
