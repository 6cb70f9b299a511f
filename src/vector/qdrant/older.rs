//! Points from before a search could be narrowed by more than type and author: they get what they are found
//! by, from the manifests of their documents. Their words they have had from the first.
//!
//! Done whenever an edition is opened, by as many processes as one likes, and by none twice: only a point that
//! has no label is given any. A worker of an older program that goes on beside new ones may still write such
//! points; the next opening labels them.

use qdrant_client::qdrant::{Condition, Filter};

use super::name::Family;
use super::{QdrantStore, collection, operation, payload, write};
use crate::Result;
use crate::change::DocumentKey;
use crate::vector::{Select, VectorStore as _};

/// Documents labelled at once.
const PAGE: usize = 256;

impl QdrantStore {
    /// Makes the indexes that a type lacks, and labels its points that have none.
    pub(super) async fn renew_type(&self, kind: &str) -> Result<()> {
        let name = self.collection(Family::Vector, kind);
        collection::index(&self.server.link, &name, Family::Vector).await?;
        let unlabelled = Filter::must([Condition::is_empty(payload::LABELS)]);
        if self.count(name.clone(), Some(unlabelled)).await? == 0 {
            return Ok(());
        }
        tracing::info!(kind, "points are given what searches narrow by, once");
        let mut after = Some(first_key(kind));
        loop {
            let limit = PAGE;
            let page = self.manifests(Select::After { after, limit }).await?;
            let ours = page.iter().filter(|manifest| manifest.key.kind == kind);
            let operations: Vec<_> = ours.map(operation::label).collect();
            let is_last = operations.len() < page.len() || page.is_empty();
            write::send(&self.server.link, &name, operations).await?;
            after = page.last().map(|manifest| manifest.key.clone());
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Below every key of the type.
fn first_key(kind: &str) -> DocumentKey {
    DocumentKey {
        kind: kind.to_owned(),
        id: String::new(),
    }
}
