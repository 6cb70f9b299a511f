//! How far a migration is, as a file of the data folder.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Side;
use crate::folder::{read_whole, remove, write_whole};
use crate::{Error, Result};

/// A migration under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Where to.
    pub to: Side,
    /// The services, as they are told to people: hosts and database, without what lets in.
    pub services: String,
    /// How far it is.
    pub stage: Stage,
}

/// How far it is; the table of [`super`] says what holds then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The target is being made equal to the origin.
    Copying,
    /// The target's checkpoint is of this epoch.
    Indexing {
        /// The epoch.
        epoch: u32,
    },
}

impl Marker {
    /// The migration that the file tells of; none where there is none.
    ///
    /// # Errors
    /// [`Error::Data`] for a file that cannot be read, [`Error::Malformed`] for one that says nothing known.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some(text) = read_whole(path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Error::malformed(path.display().to_string(), error.to_string()))
    }

    /// Says it; on the disk when this returns, so that nothing is in the target before.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::malformed(path.display().to_string(), error.to_string()))?;
        write_whole(path, &text)
    }

    /// Says that no migration is under way.
    pub fn remove(path: &Path) -> Result<()> {
        remove(path)
    }

    /// Whether this is the same migration, however far it is.
    pub fn is_of(&self, to: Side, services: &str) -> bool {
        (self.to, self.services.as_str()) == (to, services)
    }

    /// The epoch that the target's checkpoint was given.
    pub fn epoch(&self) -> Option<u32> {
        match self.stage {
            Stage::Copying => None,
            Stage::Indexing { epoch } => Some(epoch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_last() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("migration.json");
        assert_eq!(Marker::read(&path).unwrap(), None);
        for stage in [Stage::Copying, Stage::Indexing { epoch: 3 }] {
            let marker = Marker {
                to: Side::Services,
                services: "MongoDB at here, database twin".to_owned(),
                stage,
            };
            marker.write(&path).unwrap();
            assert_eq!(Marker::read(&path).unwrap(), Some(marker));
        }
        Marker::remove(&path).unwrap();
        Marker::remove(&path).unwrap();
        assert_eq!(Marker::read(&path).unwrap(), None);
        std::fs::write(&path, "{").unwrap();
        assert!(Marker::read(&path).is_err());
    }
}
