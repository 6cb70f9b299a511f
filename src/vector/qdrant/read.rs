//! The hand that reads.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::try_join_all;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::with_vectors_selector::SelectorOptions;
use qdrant_client::qdrant::{
    CountPoints, Filter, GetPoints, PointId as WireId, Query, QueryPoints, RetrievedPoint,
    ScrollPoints, VectorInput, VectorsOutput, VectorsSelector, WithPayloadSelector,
    WithVectorsSelector,
};
use uuid::Uuid;

use super::QdrantStore;
use super::guard;
use super::link::Link;
use super::name::Family;
use super::payload::{self, Payload};
use crate::change::{DocumentKey, PointId};
use crate::vector::nearest::order;
use crate::vector::{By, Manifest, Near, Nearest, Point};
use crate::{Error, Result};

/// Points read by one request where all are wanted.
const PAGE: u32 = 1_000;
/// Points or manifests asked for by their ids in one request: a manifest holds a whole text.
const IDS_MAX: usize = 256;

/// The payloads of everything that meets the filter.
pub(super) async fn payloads(link: &Link, name: &str, filter: Filter) -> Result<Vec<Payload>> {
    parts(link, name, filter, everything()).await
}

/// The same, as far as they are wanted.
pub(super) async fn parts(
    link: &Link,
    name: &str,
    filter: Filter,
    wanted: WithPayloadSelector,
) -> Result<Vec<Payload>> {
    let mut found = Vec::new();
    let mut offset = None;
    loop {
        let request = ScrollPoints {
            filter: Some(filter.clone()),
            offset,
            limit: Some(PAGE),
            with_payload: Some(wanted.clone()),
            ..scroll(link, name)
        };
        let page = link.client.scroll(request).await;
        let page = page.map_err(link.fault("read"))?;
        found.extend(page.result.into_iter().map(|point| point.payload));
        offset = page.next_page_offset;
        if offset.is_none() {
            return Ok(found);
        }
    }
}

/// A request for whole payloads, without vectors.
pub(super) fn scroll(link: &Link, name: &str) -> ScrollPoints {
    ScrollPoints {
        collection_name: name.to_owned(),
        with_payload: Some(everything()),
        with_vectors: Some(WithVectorsSelector::from(false)),
        read_consistency: link.consistency(),
        ..ScrollPoints::default()
    }
}

fn everything() -> WithPayloadSelector {
    WithPayloadSelector::from(true)
}

fn dense_only() -> WithVectorsSelector {
    let names = vec![payload::DENSE.to_owned()];
    SelectorOptions::Include(VectorsSelector { names }).into()
}

fn wire_id(id: PointId) -> WireId {
    id.0.to_string().into()
}

/// The id of a point that a server gave back.
pub(super) fn point_id(id: Option<WireId>) -> Result<PointId> {
    let id = match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Uuid(text)) => Uuid::parse_str(&text).ok(),
        _ => None,
    };
    id.map(PointId)
        .ok_or_else(|| Error::malformed("a stored point", "its id is no UUID"))
}

fn dense(vectors: Option<VectorsOutput>) -> Vec<f32> {
    let vector = vectors.and_then(|vectors| vectors.get_vector_by_name(payload::DENSE));
    match vector {
        Some(qdrant_client::qdrant::vector_output::Vector::Dense(dense)) => dense.data,
        _ => Vec::new(),
    }
}

fn read_point(point: RetrievedPoint) -> Result<Point> {
    payload::point(point_id(point.id)?, point.payload, dense(point.vectors))
}

impl QdrantStore {
    /// Retrieves points of one collection by their ids.
    async fn get(
        &self,
        name: &str,
        ids: &[PointId],
        (with_payload, with_vectors): (bool, WithVectorsSelector),
    ) -> Result<Vec<RetrievedPoint>> {
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(IDS_MAX) {
            let request = GetPoints {
                collection_name: name.to_owned(),
                ids: ids.iter().copied().map(wire_id).collect(),
                with_payload: Some(with_payload.into()),
                with_vectors: Some(with_vectors.clone()),
                read_consistency: self.server.link.consistency(),
                ..GetPoints::default()
            };
            let answer = self.server.link.client.get_points(request).await;
            found.extend(answer.map_err(self.server.link.fault("read"))?.result);
        }
        Ok(found)
    }

    /// The manifests of these keys that are there, in this order.
    pub(super) async fn manifests_of(&self, keys: Vec<DocumentKey>) -> Result<Vec<Manifest>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut by_kind: BTreeMap<&str, Vec<PointId>> = BTreeMap::new();
        for key in &keys {
            let ids = by_kind.entry(&key.kind).or_default();
            ids.push(payload::manifest_id(key));
        }
        let mut found = HashMap::new();
        let kinds = self.all_types().await?;
        for (kind, mut ids) in by_kind {
            if !kinds.contains(kind) {
                continue;
            }
            ids.sort_unstable();
            ids.dedup();
            let name = self.collection(Family::Cleaned, kind);
            let none = WithVectorsSelector::from(false);
            for point in self.get(&name, &ids, (true, none)).await? {
                let manifest = payload::manifest(point_id(point.id)?, point.payload)?;
                found.insert(manifest.key.clone(), manifest);
            }
        }
        let in_order = keys.iter().filter_map(|key| found.get(key).cloned());
        Ok(in_order.collect())
    }

    /// Which of these points are there; their ids are given by type.
    pub(super) async fn there(
        &self,
        ids: BTreeMap<String, Vec<PointId>>,
    ) -> Result<HashSet<PointId>> {
        let mut found = HashSet::new();
        if ids.values().all(Vec::is_empty) {
            return Ok(found);
        }
        let kinds = self.all_types().await?;
        for (kind, ids) in ids.iter().filter(|(kind, _)| kinds.contains(*kind)) {
            let name = self.collection(Family::Vector, kind);
            let none = (false, WithVectorsSelector::from(false));
            for point in self.get(&name, ids, none).await? {
                found.insert(point_id(point.id)?);
            }
        }
        Ok(found)
    }

    /// The points of these ids that are there, in this order.
    pub(super) async fn points_of(&self, ids: Vec<PointId>) -> Result<Vec<Point>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut distinct = ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let kinds = self.all_types().await?;
        let (distinct, names) = (&distinct, self.vectors_of(&kinds));
        let reads = names
            .iter()
            .map(|name| self.get(name, distinct, (true, dense_only())));
        let mut found = HashMap::new();
        for point in try_join_all(reads).await?.into_iter().flatten() {
            let point = read_point(point)?;
            found.insert(point.id, point);
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    /// The next points in the order of their ids, over all types.
    pub(super) async fn points_after(
        &self,
        after: Option<PointId>,
        limit: usize,
    ) -> Result<Vec<Point>> {
        let kinds = self.all_types().await?;
        let names = self.vectors_of(&kinds);
        let pages = names
            .iter()
            .map(|name| self.page_of_points(name, after, limit));
        let mut points: Vec<_> = try_join_all(pages).await?.into_iter().flatten().collect();
        points.sort_by_key(|point| point.id);
        points.truncate(limit);
        Ok(points)
    }

    async fn page_of_points(
        &self,
        name: &str,
        after: Option<PointId>,
        limit: usize,
    ) -> Result<Vec<Point>> {
        let request = ScrollPoints {
            offset: after.map(wire_id),
            // The offset is the first of the page, not the one before it.
            limit: Some(count(limit.saturating_add(1))),
            with_vectors: Some(dense_only()),
            ..scroll(&self.server.link, name)
        };
        let page = self.server.link.client.scroll(request).await;
        let page = page.map_err(self.server.link.fault("read"))?.result;
        let points = page.into_iter().map(read_point);
        let others = points.filter(|point| !matches!(point, Ok(point) if Some(point.id) == after));
        others.take(limit).collect()
    }

    /// The nearest points of these types, or of all.
    pub(super) async fn nearest_of(&self, question: Nearest) -> Result<Vec<Near>> {
        let (query, using) = match question.by {
            By::Meaning(vector) => (Query::new_nearest(vector), payload::DENSE),
            By::Words(words) if words.is_empty() => return Ok(Vec::new()),
            By::Words(words) => {
                let words = VectorInput::new_sparse(words.ids, words.weights);
                (Query::new_nearest(words), payload::SPARSE)
            }
        };
        if question.limit == 0 {
            return Ok(Vec::new());
        }
        let mut kinds = self.all_types().await?;
        if !question.only.kinds.is_empty() {
            kinds.retain(|kind| question.only.kinds.contains(kind));
        }
        let request = QueryPoints {
            query: Some(query),
            using: Some(using.to_owned()),
            filter: guard::narrowed(&question.only),
            limit: Some(u64::from(count(question.limit))),
            with_payload: Some(everything()),
            with_vectors: Some(WithVectorsSelector::from(false)),
            read_consistency: self.server.link.consistency(),
            ..QueryPoints::default()
        };
        let searches = self.vectors_of(&kinds).into_iter().map(|collection_name| {
            self.search(QueryPoints {
                collection_name,
                ..request.clone()
            })
        });
        let found = try_join_all(searches).await?;
        let mut near: Vec<_> = found.into_iter().flatten().collect();
        order(&mut near);
        near.truncate(question.limit);
        Ok(near)
    }

    async fn search(&self, request: QueryPoints) -> Result<Vec<Near>> {
        let found = self.server.link.client.query(request).await;
        let found = found.map_err(self.server.link.fault("search"))?.result;
        let near = found.into_iter().map(|found| {
            let id = point_id(found.id)?;
            let point = payload::point(id, found.payload, Vec::new())?;
            let score = found.score;
            Ok(Near { point, score })
        });
        near.collect()
    }

    /// How many points of a collection meet the filter.
    pub(super) async fn count(&self, name: String, filter: Option<Filter>) -> Result<u64> {
        let request = CountPoints {
            collection_name: name,
            filter,
            exact: Some(true),
            read_consistency: self.server.link.consistency(),
            ..CountPoints::default()
        };
        let counted = self.server.link.client.count(request).await;
        let counted = counted.map_err(self.server.link.fault("count"))?;
        Ok(counted.result.unwrap_or_default().count)
    }
}

/// The protocol counts in 32 bits.
pub(super) fn count(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
