//! The aliases of an index, for other programs: whoever reads by the plain names reads the current edition.
//!
//! A switch moves those of all types in one request, so that a name is one edition's or the other's. Our own
//! readers and workers ask the register (`editions`), and open editions by their numbers.

use std::collections::{BTreeMap, BTreeSet};

use qdrant_client::QdrantError;
use qdrant_client::qdrant::alias_operations::Action;
use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::{
    AliasDescription, AliasOperations, ChangeAliases, CreateAlias, DeleteAlias,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, TimeoutExpired};

use super::control;
use super::link::{CONNECTIONS, Link};
use super::name::Family;
use super::server::Server;
use crate::{Error, Result};

impl Server {
    /// The edition that the aliases point at; none where there are none.
    pub(super) async fn aliased_edition(&self) -> Result<Option<u32>> {
        let aliases = aliases(&self.link).await?;
        let editions = aliases
            .iter()
            .filter_map(|alias| self.names.edition(&alias.collection_name));
        Ok(editions.max())
    }

    /// Points the aliases at an edition, which may be empty: one request moves those of its types that
    /// point elsewhere, and takes away those of types that it does not have.
    pub(super) async fn point_aliases(&self, edition: u32) -> Result<()> {
        let types = control::types(self).await?;
        let (ours, others): (BTreeSet<_>, BTreeSet<_>) =
            types.into_iter().partition(|(of, _)| *of == edition);
        let wanted: BTreeMap<String, String> = names(&ours)
            .map(|(family, kind)| {
                let real = self.names.real(family, kind, edition);
                (self.names.plain(family, kind), real)
            })
            .collect();
        let other = names(&others).map(|(family, kind)| self.names.plain(family, kind));
        let known: BTreeSet<String> = wanted.keys().cloned().chain(other).collect();
        let there: BTreeMap<String, String> = aliases(&self.link)
            .await?
            .into_iter()
            .map(|alias| (alias.alias_name, alias.collection_name))
            .filter(|(name, _)| known.contains(name))
            .collect();
        let wrong = there
            .iter()
            .filter(|(name, real)| wanted.get(*name) != Some(real));
        let deletes = wrong.map(|(name, _)| {
            let alias_name = name.clone();
            Action::DeleteAlias(DeleteAlias { alias_name })
        });
        let lacking = wanted
            .iter()
            .filter(|(name, real)| there.get(*name) != Some(real));
        let creates = lacking.map(|(name, real)| {
            Action::CreateAlias(CreateAlias {
                collection_name: real.clone(),
                alias_name: name.clone(),
            })
        });
        let actions: Vec<_> = deletes.chain(creates).collect();
        if actions.is_empty() {
            return Ok(());
        }
        change(&self.link, actions).await
    }

    /// Points the names of a type at its collections of this edition.
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

/// Both families of each of these types.
fn names(types: &BTreeSet<(u32, String)>) -> impl Iterator<Item = (Family, &str)> {
    let kinds = types.iter().map(|(_, kind)| kind.as_str());
    kinds.flat_map(|kind| Family::BOTH.map(|family| (family, kind)))
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
