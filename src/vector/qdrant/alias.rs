//! Editions of an index, and the aliases that say which one is current.
//!
//! A re-index opens the next edition by its number and fills it, then [`switch`](QdrantStore::switch)
//! moves the aliases of all types in one request: whoever reads by the plain names reads one edition
//! or the other, and never a mix. Then [`remove`](QdrantStore::remove) deletes the old one.
//!
//! Our own readers and workers ask the register (`editions`), and open editions by their numbers.

use std::collections::BTreeSet;

use qdrant_client::QdrantError;
use qdrant_client::qdrant::alias_operations::Action;
use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::{
    AliasDescription, AliasOperations, ChangeAliases, CreateAlias, DeleteAlias,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, TimeoutExpired};

use super::link::{CONNECTIONS, Link};
use super::name::Family;
use super::{QdrantStore, control};
use crate::{Error, Result};

/// Which index a store reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// The one that the aliases point at, whenever that is asked.
    Current,
    /// This one, current or not; its types get no aliases until it becomes current.
    Number(u32),
}

/// The edition that a new index begins with.
pub(super) const FIRST: u32 = 1;

impl QdrantStore {
    /// The current edition.
    ///
    /// # Errors
    /// As every request; see [`Error::recovery`].
    pub async fn current_edition(&self) -> Result<u32> {
        Ok(self.aliased_edition().await?.unwrap_or(FIRST))
    }

    /// The edition that the aliases point at; none where there are none.
    pub(super) async fn aliased_edition(&self) -> Result<Option<u32>> {
        let aliases = aliases(&self.link).await?;
        let editions = aliases
            .iter()
            .filter_map(|alias| self.names.edition(&alias.collection_name));
        Ok(editions.max())
    }

    /// Makes an edition current: one request moves the aliases of its types, and takes away those of
    /// types that it does not have.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing was ever stored in it.
    pub async fn switch(&self, edition: u32) -> Result<()> {
        let types = control::types(&self.link, &self.names).await?;
        if !types.iter().any(|(of, _)| *of == edition) {
            let what = format!("edition {edition} of the index");
            return Err(Error::NotFound { what });
        }
        self.point_aliases(edition).await
    }

    /// The same for an edition that may be empty.
    pub(super) async fn point_aliases(&self, edition: u32) -> Result<()> {
        let types = control::types(&self.link, &self.names).await?;
        let (new, old): (BTreeSet<_>, BTreeSet<_>) =
            types.into_iter().partition(|(of, _)| *of == edition);
        let has = |kind: &str| new.iter().any(|(_, has)| has == kind);
        let gone = old.iter().filter(|(_, kind)| !has(kind));
        let aliases = aliases(&self.link).await?;
        let is_there = |name: &String| aliases.iter().any(|alias| alias.alias_name == *name);
        let names = |kinds: Vec<&String>| -> BTreeSet<(Family, String)> {
            let pairs = kinds
                .into_iter()
                .flat_map(|kind| Family::BOTH.map(|family| (family, kind.clone())));
            pairs.collect()
        };
        let moved = names(new.iter().map(|(_, kind)| kind).collect());
        let removed = names(gone.map(|(_, kind)| kind).collect());
        let plain = |(family, kind): &(Family, String)| self.names.plain(*family, kind);
        let deletes = moved.iter().chain(&removed).map(plain).filter(is_there);
        let deletes = deletes.map(|alias_name| Action::DeleteAlias(DeleteAlias { alias_name }));
        let creates = moved.iter().map(|(family, kind)| {
            Action::CreateAlias(CreateAlias {
                collection_name: self.names.real(*family, kind, edition),
                alias_name: self.names.plain(*family, kind),
            })
        });
        let actions: Vec<_> = deletes.chain(creates).collect();
        if actions.is_empty() {
            return Ok(());
        }
        change(&self.link, actions).await
    }

    /// Deletes an edition that is not current, with everything in it.
    ///
    /// # Errors
    /// [`Error::Refused`] for the current one.
    pub async fn remove(&self, edition: u32) -> Result<()> {
        if self.current_edition().await? == edition {
            return Err(self.link.refused(
                format!("edition {edition} of the index is the current one"),
                "make another one current first",
            ));
        }
        self.delete_edition(edition).await
    }

    /// Deletes an edition, current or not. Repeatable.
    pub(super) async fn delete_edition(&self, edition: u32) -> Result<()> {
        for (of, _, name) in self.collections_there().await? {
            if of == edition {
                let deleted = self.link.client.delete_collection(name).await;
                deleted.map_err(self.link.fault("delete a collection"))?;
            }
        }
        control::forget_edition(&self.link, &self.names, edition).await
    }

    /// The editions of which there is anything.
    pub(super) async fn editions_there(&self) -> Result<BTreeSet<u32>> {
        let mut editions = control::editions(&self.link, &self.names).await?;
        let collections = self.collections_there().await?;
        editions.extend(collections.into_iter().map(|(edition, ..)| edition));
        Ok(editions)
    }

    /// The collections of every edition, recorded or not, with their edition and type. Only those of
    /// types that were recorded in one of them: another index may have names that look like ours.
    async fn collections_there(&self) -> Result<Vec<(u32, String, String)>> {
        let types = control::types(&self.link, &self.names).await?;
        let kinds: BTreeSet<String> = types.into_iter().map(|(_, kind)| kind).collect();
        let all = self.link.client.list_collections().await;
        let all = all.map_err(self.link.fault("list the collections"))?;
        let all: BTreeSet<String> = all.collections.into_iter().map(|one| one.name).collect();
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

    /// Gives a type's collections their aliases, where they have none.
    pub(super) async fn name_type(&self, kind: &str, edition: u32) -> Result<()> {
        for family in Family::BOTH {
            let alias = CreateAlias {
                collection_name: self.names.real(family, kind, edition),
                alias_name: self.names.plain(family, kind),
            };
            let created = self.link.client.create_alias(alias).await;
            created.map_err(self.link.fault("create an alias"))?;
        }
        Ok(())
    }
}

/// Every alias of the server.
async fn aliases(link: &Link) -> Result<Vec<AliasDescription>> {
    let mut broken = 0;
    loop {
        match link.client.list_aliases().await {
            Ok(answer) => return Ok(answer.aliases),
            // After a restart each of its connections is broken once, and here the client does not ask
            // again by itself, as it does when it reads and writes points.
            Err(error) if broken < CONNECTIONS && is_broken(&error) => broken += 1,
            Err(error) => return Err(link.fault("list the aliases")(error)),
        }
    }
}

/// Whether the connection, and not the server, failed. A server that is slow is not asked again here.
fn is_broken(error: &QdrantError) -> bool {
    let QdrantError::ResponseError { status } = error else {
        return false;
    };
    let cause = std::error::Error::source(status);
    let is_slow = cause.is_some_and(<dyn std::error::Error>::is::<TimeoutExpired>);
    let broken = [Code::Unknown, Code::Unavailable, Code::Cancelled];
    broken.contains(&status.code()) && !is_slow
}

/// Changes several aliases at once, which the client's own functions do one by one.
async fn change(link: &Link, actions: Vec<Action>) -> Result<()> {
    const ACTION: &str = "switch the aliases";
    let unreachable =
        |error: tonic::transport::Error| Error::unavailable(link.service(), ACTION)(error);
    let endpoint = Endpoint::new(link.settings.url.clone()).map_err(unreachable)?;
    let endpoint = endpoint
        .timeout(link.settings.timeout)
        .connect_timeout(link.settings.timeout);
    let endpoint = if link.settings.url.starts_with("https:") {
        let roots = ClientTlsConfig::new().with_native_roots();
        endpoint.tls_config(roots).map_err(unreachable)?
    } else {
        endpoint
    };
    let channel = endpoint.connect().await.map_err(unreachable)?;
    let key = link.settings.api_key.as_deref().map(str::parse);
    let key: Option<MetadataValue<Ascii>> = key.transpose().map_err(|_| Error::Config {
        setting: "vector.api_key".to_owned(),
        why: "it holds characters that no header may hold".to_owned(),
    })?;
    let with_key = move |mut request: Request<()>| -> Result<_, Status> {
        if let Some(key) = &key {
            request.metadata_mut().insert("api-key", key.clone());
        }
        Ok(request)
    };
    let operations = actions.into_iter().map(|action| AliasOperations {
        action: Some(action),
    });
    let request = ChangeAliases {
        actions: operations.collect(),
        timeout: None,
    };
    let mut client = CollectionsClient::with_interceptor(channel, with_key);
    let changed = client.update_aliases(request).await;
    changed.map_err(|status| link.status(ACTION, &status))?;
    Ok(())
}
