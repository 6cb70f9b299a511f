//! What holds when nothing is on its way any more: the index equals F(source).

use super::super::{SourceModel, VectorModel};
use super::Checker;
use super::past::Content;
use crate::feature::prepare::Prepared;
use crate::simulate::vector::State;
use crate::vector::Manifest;

impl Checker {
    /// At rest the index equals F(source).
    pub(in crate::simulate) fn at_rest(
        &self,
        source: &SourceModel,
        store: &VectorModel,
        calm: bool,
    ) -> Result<(), String> {
        let (source, store) = (source.state(), store.state());
        let mut named = 0;
        for (key, fields) in &source.documents {
            let Content::Text { ids, prepared } = self.past.content(key, Some(fields)) else {
                return Err(format!("{key} is still poisoned"));
            };
            let manifest = store
                .manifests
                .get(key)
                .ok_or_else(|| format!("{key} is missing"))?;
            let void = store.control.voids(&key.kind, manifest.stamp.version);
            if manifest.deleted || void || manifest.point_ids() != ids {
                return Err(format!("{key} differs: {manifest:?}"));
            }
            if manifest.metadata != prepared.metadata || manifest.text != prepared.text {
                return Err(format!("{key} has other metadata or text: {manifest:?}"));
            }
            named += ids.len();
            points_fit(manifest, &prepared, &store)?;
        }
        let live = store
            .manifests
            .values()
            .filter(|manifest| !manifest.deleted)
            .count();
        let (strays, stray_points) = self.strays_at_rest(&store)?;
        let known = source
            .documents
            .keys()
            .filter(|key| store.manifests.get(key).is_some_and(super::is_stray));
        if live != source.documents.len() + strays || known.count() > 0 {
            return Err(format!(
                "{live} documents in the index, {} there and {strays} without a version",
                source.documents.len()
            ));
        }
        named += stray_points;
        if store.points.len() != named {
            return Err(format!(
                "{} points stored, {named} named",
                store.points.len()
            ));
        }
        if calm {
            self.nothing_embedded_twice()
        } else {
            Ok(())
        }
    }

    fn nothing_embedded_twice(&self) -> Result<(), String> {
        for (text, times) in self.past.embedder.asked() {
            let allowed = self.past.allowed.of(&text);
            if times > allowed {
                return Err(format!(
                    "{text:?} was new {allowed} times and embedded {times} times"
                ));
            }
        }
        Ok(())
    }
}

/// Every named point is there, with this version, rank, text and metadata.
pub(super) fn points_fit(
    manifest: &Manifest,
    prepared: &Prepared,
    store: &State,
) -> Result<(), String> {
    let key = &manifest.key;
    if !manifest
        .points
        .windows(2)
        .all(|pair| pair[0].rank < pair[1].rank)
    {
        return Err(format!(
            "the ranks of {key} do not grow: {:?}",
            manifest.points
        ));
    }
    for (entry, text) in manifest.points.iter().zip(&prepared.chunks) {
        let point = store
            .points
            .get(&entry.id)
            .ok_or_else(|| format!("{key}: no {}", entry.id))?;
        let fits = point.key == *key
            && point.stamp == manifest.stamp
            && point.rank == entry.rank
            && point.content == *text
            && point.metadata == manifest.metadata;
        if !fits {
            return Err(format!("{key} at {} has {point:?}", manifest.stamp.version));
        }
    }
    Ok(())
}
