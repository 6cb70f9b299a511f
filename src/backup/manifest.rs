//! What a backup says of itself. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{PLAIN, SOURCE, VECTORS};
use crate::token::hex;
use crate::{Error, Result};

/// The format that this program writes; raised when an older program could not read it.
const FORMAT: u32 = 1;

/// A backup's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup; another one has another number.
    pub format: u32,
    /// What it holds.
    #[serde(flatten)]
    pub about: About,
    /// Its files, by name.
    pub files: BTreeMap<String, Entry>,
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The version of the program that made it.
    pub program: String,
    /// When its documents were copied: RFC 3339.
    pub made_at: String,
    /// The epoch of the source.
    pub epoch: u32,
    /// Documents, by type.
    pub documents: BTreeMap<String, u64>,
    /// The vectors of their texts.
    pub vectors: Vectors,
}

/// The vectors of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vectors {
    /// How many different texts have one.
    pub texts: u64,
    /// The model that made them.
    pub model: String,
    /// What tells that model from every other.
    pub digest: String,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// A manifest with the digest of itself.
#[derive(Serialize, Deserialize)]
struct Sealed {
    manifest: Manifest,
    sha256: String,
}

impl Manifest {
    pub(super) fn new(about: About, files: BTreeMap<String, Entry>) -> Self {
        Self {
            format: FORMAT,
            about,
            files,
        }
    }

    /// As it is written.
    pub(super) fn sealed(&self) -> Result<Vec<u8>> {
        let unspeakable = |error: serde_json::Error| {
            Error::malformed("the manifest of the backup", error.to_string())
        };
        let sealed = Sealed {
            manifest: self.clone(),
            sha256: self.digest().map_err(unspeakable)?,
        };
        serde_json::to_vec_pretty(&sealed).map_err(unspeakable)
    }

    /// The manifest that was written so; otherwise what is wrong with it.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let bad = |error: serde_json::Error| format!("manifest.json cannot be read: {error}");
        let sealed: Sealed = serde_json::from_slice(text).map_err(bad)?;
        let found = sealed.manifest;
        // A later one may say other things, so its digest is not ours to make.
        if found.format > FORMAT {
            return Err(format!(
                "manifest.json is of format {}, and this program knows formats up to {FORMAT}: use \
                 a newer lockstep",
                found.format
            ));
        }
        // As it was written, white space included.
        if found.digest().map_err(bad)? != sealed.sha256
            || found.sealed().ok().as_deref() != Some(text)
        {
            return Err("manifest.json is not as it was written".to_owned());
        }
        let known = [SOURCE, VECTORS].into_iter().chain(PLAIN);
        let known: Vec<&str> = known.collect();
        if let Some(strange) = found
            .files
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            return Err(format!(
                "manifest.json names {strange:?}, which is no file of a backup"
            ));
        }
        if !found.files.contains_key(SOURCE) {
            return Err(format!("manifest.json names no {SOURCE}"));
        }
        Ok(found)
    }

    fn digest(&self) -> serde_json::Result<String> {
        let text = serde_json::to_vec(self)?;
        Ok(hex(&Sha256::digest(text)))
    }
}
