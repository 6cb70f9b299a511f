//! What a search shows.

use std::collections::BTreeMap;

use super::{Checker, Content, editions_of};
use crate::change::PointId;
use crate::search::shown;
use crate::simulate::{EditionsModel, VectorModel};
use crate::vector::{Entry, Manifest, Near, Point};

impl Checker {
    /// Whatever a search shows belongs to a document as its manifest's version had it.
    pub(in crate::simulate) fn nothing_orphaned(
        &self,
        editions: &EditionsModel,
    ) -> Result<(), String> {
        let mut editions = editions_of(editions).into_iter();
        editions.try_for_each(|(_, store)| self.nothing_orphaned_in(&store))
    }

    fn nothing_orphaned_in(&self, store: &VectorModel) -> Result<(), String> {
        let state = store.state();
        let mut manifests: Vec<_> = state.manifests.values().cloned().collect();
        if self.careless_search {
            name_all(&mut manifests, &state.points);
        }
        let near = |point: &Point| Near {
            point: point.clone(),
            score: 0.0,
        };
        for hit in shown(
            state.points.values().map(near).collect(),
            &manifests,
            &state.control,
        ) {
            let is_text = |content: &str| {
                if !hit.version.is_some() {
                    return self.sent_text(&hit.key, content);
                }
                self.past
                    .states(&hit.key, hit.version)
                    .any(|state| match &state.content {
                        Content::Text { prepared, .. } => {
                            prepared.chunks.iter().any(|text| text == content)
                        }
                        Content::Gone | Content::Poison => false,
                    })
            };
            if let Some(passage) = hit
                .passages
                .iter()
                .find(|passage| !is_text(&passage.content))
            {
                return Err(format!(
                    "a search shows {:?} of {}",
                    passage.content, hit.key
                ));
            }
        }
        Ok(())
    }
}

/// Makes each manifest name every point of its document.
fn name_all(manifests: &mut [Manifest], points: &BTreeMap<PointId, Point>) {
    for manifest in manifests {
        let own = points.values().filter(|point| point.key == manifest.key);
        manifest.points = own
            .map(|point| Entry {
                id: point.id,
                rank: point.rank,
            })
            .collect();
    }
}
