//! A document that answers, as it is worked on until it is shown.

use std::collections::HashMap;
use std::ops::Range;

use super::{Hit, join};
use crate::change::PointId;
use crate::vector::Manifest;

/// A document that answers, with what the index holds of it.
#[derive(Debug)]
pub(super) struct Grouped {
    pub(super) hit: Hit,
    pub(super) manifest: Manifest,
    /// Where the points of its passages stand in the manifest, best first.
    pub(super) places: Vec<usize>,
}

impl Grouped {
    /// The point of its best passage.
    pub(super) fn best(&self) -> Option<PointId> {
        let place = self.places.first()?;
        self.manifest.points.get(*place).map(|entry| entry.id)
    }

    /// Makes a passage of each span of its points, as far as their contents are here: that of its best
    /// point, with the text of all.
    pub(super) fn join(&mut self, spans: &[Range<usize>], contents: &HashMap<PointId, &str>) {
        let mut joined = Vec::new();
        for span in spans {
            let within = self.places.iter().position(|place| span.contains(place));
            let Some(mut passage) = within.and_then(|at| self.hit.passages.get(at)).cloned() else {
                continue;
            };
            let entries = self.manifest.points.get(span.clone()).unwrap_or_default();
            let chunks: Option<Vec<&str>> = entries
                .iter()
                .map(|entry| contents.get(&entry.id).copied())
                .collect();
            // One that is gone meanwhile: its document has changed, and the passage stays alone.
            if let Some(chunks) = chunks {
                passage.text = join::join(&self.manifest.text, &chunks);
            }
            joined.push(passage);
        }
        self.hit.passages = joined;
    }
}
