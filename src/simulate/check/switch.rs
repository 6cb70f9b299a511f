//! What holds when another edition is searched than before: nothing is older in it.

use super::super::{EditionsModel, QueueModel};
use super::Checker;

impl Checker {
    /// Whatever the old edition knew, the new one knows, and no search goes back.
    pub(super) fn nothing_lost_at_the_switch(
        &mut self,
        queue: &QueueModel,
        editions: &EditionsModel,
    ) -> Result<(), String> {
        let current = editions.current();
        if current.0 == self.searched.0 {
            return Ok(());
        }
        let (_, old) = std::mem::replace(&mut self.searched, current.clone());
        let (number, new) = current;
        let (old, new) = (old.state(), new.state());
        for (key, version) in &old.collected {
            let buried = self.buried.entry(key.clone()).or_insert(*version);
            *buried = (*buried).max(*version);
        }
        for (kind, floor) in &old.control.floors {
            if new.control.floors.get(kind) < Some(floor) {
                return Err(format!(
                    "edition {number} lacks the floor of {kind} at {floor}"
                ));
            }
        }
        let parked = queue.state().parked.keys();
        for (key, manifest) in &old.manifests {
            let version = manifest.stamp.version;
            let known = new
                .manifests
                .get(key)
                .map(|manifest| manifest.stamp.version);
            let known = known.max(new.collected.get(key).copied());
            let is_known = known >= Some(version) || new.control.voids(&key.kind, version);
            // What cannot be prepared is parked, and its older text is not carried over.
            if !is_known && !parked.contains(key) {
                let what = if manifest.deleted { "deleted" } else { "there" };
                return Err(format!(
                    "{key} is {what} at {version}, and edition {number} is searched that knows of \
                     {known:?}"
                ));
            }
        }
        let dimension = editions.register().current.model.dimension;
        let points = new.points.values();
        let mut of_another = points.filter(|point| point.vector.len() != dimension);
        match of_another.next() {
            Some(point) => Err(format!(
                "{} in edition {number} is of another model",
                point.id
            )),
            None => Ok(()),
        }
    }
}
