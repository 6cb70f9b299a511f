//! The connection, and what its errors mean.

use qdrant_client::qdrant::{
    ReadConsistency, ReadConsistencyType, WriteOrdering, WriteOrderingType, read_consistency,
};
use qdrant_client::{Qdrant, QdrantError};
use tonic::{Code, Status};

use super::settings::Settings;
use crate::certificate::{BY_VARIABLE, distrusted};
use crate::{Error, Result};

/// The first version that weighs an upsert against what is stored.
const VERSION_MIN: (u64, u64) = (1, 16);

/// Connections of a client: batches to several collections travel side by side.
pub(super) const CONNECTIONS: usize = 3;

/// A server that answers, of a version that does what is needed.
pub(super) struct Link {
    pub(super) client: Qdrant,
    pub(super) settings: Settings,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Connects, and asks for the version.
    ///
    /// # Errors
    /// [`Error::Config`] for an address that is none, [`Error::Unavailable`] where nobody answers,
    /// [`Error::Refused`] for a wrong key or an old version.
    pub(super) async fn open(settings: Settings) -> Result<Self> {
        let schemes = ["http://", "https://"];
        if !schemes
            .iter()
            .any(|scheme| settings.url.starts_with(scheme))
        {
            return Err(address_fault(&settings.url));
        }
        let mut config = Qdrant::from_url(&settings.url)
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            // It prints; we refuse.
            .skip_compatibility_check();
        config.api_key.clone_from(&settings.api_key);
        config.set_pool_size(CONNECTIONS);
        let client = config.build();
        let client = client.map_err(|_| address_fault(&settings.url))?;
        let link = Self { client, settings };
        let reply = link.client.health_check().await;
        let reply = reply.map_err(link.fault("answer"))?;
        if too_old(&reply.version) {
            return Err(link.refused(
                format!("it is version {}", reply.version),
                "Lockstep needs Qdrant 1.16 or later, upgrade the server",
            ));
        }
        Ok(link)
    }

    /// The service with its address, for a person. The address holds no secret.
    pub(super) fn service(&self) -> String {
        format!("Qdrant at {}", self.settings.url)
    }

    pub(super) fn refused(&self, why: impl Into<String>, fix: impl Into<String>) -> Error {
        Error::Refused {
            service: self.service(),
            why: why.into(),
            fix: fix.into(),
        }
    }

    /// Makes an error of ours of the client's.
    pub(super) fn fault(&self, action: &'static str) -> impl FnOnce(QdrantError) -> Error {
        move |error| match error {
            QdrantError::ResponseError { status }
            | QdrantError::ResourceExhaustedError { status, .. } => self.status(action, &status),
            other => {
                let thing = format!("what Qdrant was asked to {action}");
                Error::malformed(thing, other.to_string())
            }
        }
    }

    /// Makes an error of ours of a status.
    pub(super) fn status(&self, action: &'static str, status: &Status) -> Error {
        let said = status.message();
        // The client's own word for a connection that it could not make.
        if status.code() == Code::Internal
            && let Some((why, fix)) = distrusted(said, "vector.url", BY_VARIABLE)
        {
            return self.refused(why, fix);
        }
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => self.refused(
                format!("it refuses the API key: {said}"),
                "set vector.api_key (LOCKSTEP_VECTOR_API_KEY) to a key that may read and write",
            ),
            Code::NotFound => self.refused(
                format!("a collection that was there is gone: {said}"),
                "restore it from a snapshot, or delete all collections of the index and fill a new one with `lockstep snapshot`",
            ),
            Code::Unimplemented => self.refused(
                format!("it does not know how to {action}: {said}"),
                "give the gRPC port of Qdrant 1.16 or later (6334, not 6333) as vector.url",
            ),
            // The same request again would be refused again.
            Code::InvalidArgument | Code::OutOfRange | Code::AlreadyExists => {
                Error::malformed(format!("what Qdrant was asked to {action}"), said)
            }
            // Away, too slow, too busy, electing, out of disk: it may pass.
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => {
                let cause = format!("{}: {said}", status.code());
                Error::unavailable(self.service(), action)(cause)
            }
        }
    }

    /// Writes go to one copy, which gives them to the others in its order.
    pub(super) fn ordering() -> WriteOrdering {
        WriteOrdering {
            r#type: WriteOrderingType::Strong.into(),
        }
    }

    /// A majority has every answered write, so a majority is asked.
    pub(super) fn consistency(&self) -> Option<ReadConsistency> {
        let majority = read_consistency::Value::Type(ReadConsistencyType::Majority.into());
        (self.settings.replicas > 1).then(|| majority.into())
    }
}

fn address_fault(url: &str) -> Error {
    Error::Config {
        setting: "vector.url".to_owned(),
        why: format!("{url:?} is no address of a server, which is like http://host:6334"),
    }
}

/// Whether a version is older than is needed. One that cannot be read is a build of somebody's own,
/// who should know.
fn too_old(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < VERSION_MIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let old = ["0.99.9", "1.9.7", "1.15.5"];
        let new = ["1.16.0", "1.16.0-dev", "1.18", "2.0.0", "nightly"];
        assert!(old.iter().all(|version| too_old(version)));
        assert!(!new.iter().any(|version| too_old(version)));
    }
}
