//! A server, and an index on it as a whole: all of its editions.

use std::collections::BTreeSet;

use super::link::Link;
use super::name::{Family, Names};
use super::settings::Settings;
use super::{collection, control};
use crate::{Error, Result};

/// The connection, and the names of what is ours there.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) link: Link,
    pub(super) names: Names,
}

impl Server {
    /// Connects, and makes the collection of the control state where there is none.
    ///
    /// # Errors
    /// As [`Link::open`]; [`Error::Refused`] where the control state is gone and others of ours are there:
    /// floors would be forgotten.
    pub(super) async fn open(settings: Settings) -> Result<Self> {
        let names = Names::new(&settings.name);
        let link = Link::open(settings).await?;
        let server = Self { link, names };
        let control = server.names.control();
        if !collection::exists(&server.link, &control).await? {
            let all = server.collections().await?;
            let ours = |name: &&String| server.names.edition(name).is_some();
            if let Some(other) = all.iter().find(ours) {
                return Err(server.missing(&control, other));
            }
        }
        collection::make_control(&server.link, &control).await?;
        Ok(server)
    }

    /// That a collection is gone which belongs to another one.
    pub(super) fn missing(&self, name: &str, other: &str) -> Error {
        self.link.refused(
            format!("the collection {name} is gone, though {other} is there"),
            "restore it from a snapshot, or delete all collections of the index and fill a new one with `lockstep snapshot`",
        )
    }

    /// The names of everybody's collections.
    async fn collections(&self) -> Result<BTreeSet<String>> {
        let all = self.link.client.list_collections().await;
        let all = all.map_err(self.link.fault("list the collections"))?;
        Ok(all.collections.into_iter().map(|one| one.name).collect())
    }

    /// Our names of a type are aliases: refuses where collections have those of one of these types, as the first
    /// system's have.
    pub(super) async fn refuse_others_names(&self, kinds: &[String]) -> Result<()> {
        if kinds.is_empty() {
            return Ok(());
        }
        let all = self.collections().await?;
        let names = kinds
            .iter()
            .flat_map(|kind| Family::BOTH.map(|family| self.names.plain(family, kind)));
        let taken: Vec<String> = names.filter(|name| all.contains(name)).collect();
        if taken.is_empty() {
            return Ok(());
        }
        Err(self.link.refused(
            format!(
                "collections are there that are not of this index, which names its own so: {}",
                taken.join(", ")
            ),
            "give this index a name of its own (vector.name), leave out their types (source.collections), or delete \
             those collections or have them under other names",
        ))
    }

    /// Deletes an edition, current or not. Repeatable.
    pub(super) async fn delete_edition(&self, edition: u32) -> Result<()> {
        for (of, _, name) in self.collections_there().await? {
            if of == edition {
                let deleted = self.link.client.delete_collection(name).await;
                deleted.map_err(self.link.fault("delete a collection"))?;
            }
        }
        control::forget_edition(self, edition).await
    }

    /// The editions of which there is anything.
    pub(super) async fn editions_there(&self) -> Result<BTreeSet<u32>> {
        let mut editions = control::editions(self).await?;
        let collections = self.collections_there().await?;
        editions.extend(collections.into_iter().map(|(edition, ..)| edition));
        Ok(editions)
    }

    /// The collections of every edition, recorded or not, with their edition and type. Only those of
    /// types that were recorded in one of them: another index may have names that look like ours.
    async fn collections_there(&self) -> Result<Vec<(u32, String, String)>> {
        let types = control::types(self).await?;
        let kinds: BTreeSet<String> = types.into_iter().map(|(_, kind)| kind).collect();
        let all = self.collections().await?;
        let editions: BTreeSet<u32> = all
            .iter()
            .filter_map(|name| self.names.edition(name))
            .collect();
        let mut ours = Vec::new();
        for edition in editions {
            for kind in &kinds {
                let names = Family::BOTH.map(|family| self.names.real(family, kind, edition));
                let there = names.into_iter().filter(|name| all.contains(name));
                ours.extend(there.map(|name| (edition, kind.clone(), name)));
            }
        }
        Ok(ours)
    }
}
