//! An index whose model is not to be had: because it is gone, or because its service does not answer just now.
//!
//! ```text
//! away ──> the error, with what to do        gone ──> another of its dimension, or what `Unreadable` says
//! ```

use std::path::Path;

use crate::error::Cause;
use crate::feature::embed::Model;
use crate::reindex::Edition;
use crate::{Error, Recovery};

/// What is done where the model of the index cannot be opened and the configured one has another
/// dimension, so that the index can neither be asked nor written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It is said, with the command that mends it.
    Refuse,
    /// An empty edition takes its place.
    Replace,
}

/// Whether a model that could not be opened is away and not gone: nothing takes its place then, unless that was asked
/// for.
pub(super) fn is_away(error: &Error, unreadable: Unreadable) -> bool {
    unreadable == Unreadable::Refuse && matches!(error.recovery(), Recovery::Retry(_))
}

/// That the model of an edition is away.
pub(super) fn away(edition: &Edition, why: impl Into<Cause>) -> Error {
    let (model, number) = (&edition.model.name, edition.number);
    let model = format!(
        "{model}, which edition {number} of the index is made with (start again once it does, or run `lockstep \
         reindex` for one that is made with the configured model),"
    );
    Error::unavailable(model, "answer")(why)
}

pub(super) fn other_dimension(folder: &Path, stored: &Model, model: &Model) -> Error {
    Error::Model {
        path: folder.to_owned(),
        why: format!(
            "the vectors here were made with {}, which cannot be opened, and the model given is {}: \
             vectors of two dimensions cannot be mixed; give that model again, or run `lockstep \
             reindex`, which embeds every document with the new one",
            describe(stored),
            describe(model)
        ),
    }
}

fn describe(model: &Model) -> String {
    let Model {
        name,
        digest,
        dimension,
        ..
    } = model;
    let digest: String = digest.chars().take(12).collect();
    format!("{name} ({dimension} dimensions, digest {digest})")
}
