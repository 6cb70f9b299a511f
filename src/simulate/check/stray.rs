//! Messages without a version: among them arrival decides, and against a version they lose.

use super::Checker;
use super::past::Content;
use crate::change::{Change, DocumentKey};
use crate::document::Fields;
use crate::simulate::vector::State;
use crate::simulate::world::STRAY_KIND;
use crate::vector::{Manifest, Point};

impl Checker {
    /// Takes in what a producer sends, or sends again.
    pub(in crate::simulate) fn sent(&mut self, change: &Change) {
        let content = self.past.content(&change.key, change.fields.as_ref());
        let sent = self.strays.entry(change.key.clone()).or_default();
        self.past.allowed.add(sent.last(), &content);
        sent.push(content);
    }

    pub(in crate::simulate) fn is_poison(
        &self,
        key: &DocumentKey,
        fields: Option<&Fields>,
    ) -> bool {
        matches!(self.past.content(key, fields), Content::Poison)
    }

    /// A manifest without a version holds what some message said.
    pub(super) fn was_sent(&self, manifest: &Manifest) -> Result<(), String> {
        let sent = self
            .strays
            .get(&manifest.key)
            .map(Vec::as_slice)
            .unwrap_or_default();
        if sent.iter().any(|content| fits(content, manifest)) {
            return Ok(());
        }
        Err(format!(
            "{} without a version holds what nobody sent",
            manifest.key
        ))
    }

    /// Whether some message had this text.
    pub(super) fn sent_text(&self, key: &DocumentKey, text: &str) -> bool {
        let sent = self.strays.get(key).map(Vec::as_slice).unwrap_or_default();
        sent.iter().any(|content| match content {
            Content::Text { prepared, .. } => prepared.chunks.iter().any(|chunk| chunk == text),
            Content::Gone | Content::Poison => false,
        })
    }

    /// At rest: of what the source does not have only such documents are there, whole, and where one
    /// worker did everything, as the last message said. Returns documents and points.
    ///
    /// What a worker that died leaves stays beside a manifest without a version until the next message of
    /// its key: nothing says whether somebody is about to name it.
    pub(super) fn strays_at_rest(&self, store: &State) -> Result<(usize, usize), String> {
        let (mut documents, mut points) = (0, 0);
        let strays = store
            .manifests
            .values()
            .filter(|manifest| super::is_stray(manifest));
        for manifest in strays.filter(|manifest| !manifest.deleted) {
            let sent = self.strays.get(&manifest.key).into_iter().flatten();
            let mut prepared = sent.filter(|content| fits(content, manifest));
            let Some(Content::Text { prepared, .. }) = prepared.next_back() else {
                return Err(format!("{} was never sent so", manifest.key));
            };
            super::rest::points_fit(manifest, prepared, store)?;
            documents += 1;
            points += manifest.points.len();
        }
        points += (store.points.values())
            .filter(|point| left_over(point, store))
            .count();
        for (key, sent) in &self.strays {
            let last = sent
                .iter()
                .rfind(|content| !matches!(content, Content::Poison));
            let manifest = store.manifests.get(key);
            let versioned = key.kind != STRAY_KIND;
            let right = match (last, manifest) {
                (Some(last), Some(manifest)) => fits(last, manifest),
                (Some(Content::Gone) | None, None) => true,
                (_, _) => false,
            };
            if self.lone && !versioned && !right {
                return Err(format!("{key} is not what was sent last: {manifest:?}"));
            }
        }
        Ok((documents, points))
    }
}

fn fits(content: &Content, manifest: &Manifest) -> bool {
    match content {
        Content::Gone => manifest.deleted,
        Content::Poison => false,
        Content::Text { ids, prepared } => {
            !manifest.deleted
                && *ids == manifest.point_ids()
                && prepared.metadata == manifest.metadata
        }
    }
}

fn left_over(point: &Point, store: &State) -> bool {
    store.manifests.get(&point.key).is_some_and(|manifest| {
        super::is_stray(manifest)
            && manifest.stamp < point.stamp
            && !manifest.point_ids().contains(&point.id)
    })
}
