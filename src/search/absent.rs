//! Conditions that no document meets, so that nobody takes a wrong word for an empty index.

use super::gather::{Question, gather};
use super::query::{Mode, Query};
use super::title::Asked;
use crate::Result;
use crate::vector::VectorStore;

/// Says which conditions of the query no document meets. Asked where nothing was found, and of values that
/// have others beside them.
pub(super) async fn absent<V: VectorStore>(
    store: &V,
    query: &Query,
    dimension: usize,
    found_any: bool,
) -> Result<Option<String>> {
    // Any direction: every document is near enough where one is asked for.
    let mut anywhere = vec![0.0; dimension];
    if let Some(first) = anywhere.first_mut() {
        *first = 1.0;
    }
    let mut absent = Vec::new();
    for condition in query.conditions()? {
        if found_any && !condition.has_others {
            continue;
        }
        // Alone: what else is asked for does not count.
        let query = &Query {
            link: condition.link,
            ..Query::default()
        };
        let question = Question {
            query,
            mode: Mode::Dense,
            asked: Asked::new(""),
            only: condition.only,
            meaning: Some(anywhere.clone()),
            words: None,
            wanted: 1,
        };
        let found = gather(store, &question).await?;
        // Where the looking was given up, one may be there all the same.
        if found.hits.is_empty() && found.note.is_none() {
            absent.push(condition.says);
        }
    }
    Ok((!absent.is_empty()).then(|| format!("no document has {}", absent.join(", nor "))))
}
