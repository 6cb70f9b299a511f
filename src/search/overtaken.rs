//! Documents that were replaced between the look for points and that for manifests. Pure.
//!
//! The new points were stored before the new manifest, so whoever looks again finds them.

use std::collections::HashSet;

use super::fuse::Scored;
use super::grouped::Grouped;
use crate::vector::{Control, Manifest};

/// Whether a document is there of which only older points were found, so that it is not among the grouped.
pub(super) fn is_overtaken(
    scored: &[Scored],
    grouped: &[Grouped],
    manifests: &[Manifest],
    control: &Control,
) -> bool {
    let grouped: HashSet<_> = grouped.iter().map(|one| &one.hit.key).collect();
    let mut missing = manifests
        .iter()
        .filter(|manifest| control.holds(manifest) && !grouped.contains(&manifest.key));
    missing.any(|manifest| {
        let points = scored.iter().map(|one| &one.point);
        let mut theirs = points.filter(|point| point.key == manifest.key);
        theirs.all(|point| point.stamp < manifest.stamp)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use crate::Result;
    use crate::change::{DocumentKey, PointId};
    use crate::search::{Mode, Query, Standing, search};
    use crate::still::{Letters, Still, version};
    use crate::vector::{
        Control, Counts, Manifest, Near, Nearest, Point, Select, VectorStore, Write,
    };

    /// An index whose documents are replaced just after points were first looked for.
    struct Replaced {
        before: Still,
        after: Still,
        looks: AtomicUsize,
    }

    impl Replaced {
        fn new() -> Self {
            let (mut before, mut after) = (Still::default(), Still::default());
            before.store(&DocumentKey::text("posts", "a"), &json!({"content": "old"}));
            after.store(&DocumentKey::text("posts", "a"), &json!({"content": "new"}));
            let points = after.points.values_mut().map(|point| &mut point.stamp);
            let manifests = after.manifests.values_mut();
            for stamp in points.chain(manifests.map(|manifest| &mut manifest.stamp)) {
                *stamp = version(6).into();
            }
            Self {
                before,
                after,
                looks: AtomicUsize::new(0),
            }
        }
    }

    impl VectorStore for Replaced {
        async fn manifests(&self, what: Select<DocumentKey>) -> Result<Vec<Manifest>> {
            self.after.manifests(what).await
        }

        async fn points(&self, what: Select<PointId>) -> Result<Vec<Point>> {
            self.after.points(what).await
        }

        async fn control(&self) -> Result<Control> {
            self.after.control().await
        }

        async fn write(&self, writes: Vec<Write>) -> Result<()> {
            self.after.write(writes).await
        }

        async fn nearest(&self, question: Nearest) -> Result<Vec<Near>> {
            match self.looks.fetch_add(1, Ordering::Relaxed) {
                0 => self.before.nearest(question).await,
                _ => self.after.nearest(question).await,
            }
        }

        async fn counts(&self) -> Result<Counts> {
            self.after.counts().await
        }
    }

    #[tokio::test]
    async fn a_document_that_is_replaced_while_it_is_looked_for_is_found() {
        let by_meaning = Query {
            mode: Mode::Dense,
            text: "new".to_owned(),
            limit: 5,
            ..Query::default()
        };
        let replaced = Replaced::new();
        let answer = search(&replaced, &Letters::new(), &by_meaning, Standing::default()).await;
        let hits = answer.unwrap().hits;
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0].passages[0].content, "new");
        // What a crash left behind looks the same, and is not looked for without end.
        let mut left = Replaced::new();
        left.after.points = left.before.points.clone();
        let answer = search(&left, &Letters::new(), &by_meaning, Standing::default()).await;
        assert!(answer.unwrap().hits.is_empty());
        assert_eq!(left.looks.into_inner(), 3);
    }
}
