//! Collections, their points, and the aliases.

use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::{CreateCollection, FieldType, SparseVector, Value};
use tonic::Status;
use uuid::Uuid;

/// What a request is answered with.
pub(super) type Answer<T> = Result<T, Status>;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) collections: BTreeMap<String, Collection>,
    /// Alias to collection.
    pub(super) aliases: BTreeMap<String, String>,
    /// Whether the write in hand is answered before it is done.
    pub(super) late: bool,
}

#[derive(Debug)]
pub(super) struct Collection {
    /// As it was asked for.
    pub(super) created: CreateCollection,
    /// Values of each dense vector.
    pub(super) dense: BTreeMap<String, usize>,
    /// Names of the sparse ones.
    pub(super) sparse: Vec<String>,
    pub(super) indexes: BTreeMap<String, FieldType>,
    pub(super) points: BTreeMap<Uuid, Stored>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    pub(super) payload: HashMap<String, Value>,
    /// Normalised, as cosine has it.
    pub(super) dense: BTreeMap<String, Vec<f32>>,
    pub(super) sparse: BTreeMap<String, SparseVector>,
}

impl State {
    /// By its own name or by an alias.
    pub(super) fn collection(&mut self, name: &str) -> Result<&mut Collection, Status> {
        let real = self.aliases.get(name).map_or(name, String::as_str);
        self.collections.get_mut(real).ok_or_else(|| {
            Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"))
        })
    }
}

/// The request is wrong, and would be again.
pub(super) fn wrong(why: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("Wrong input: {why}"))
}

/// The request holds something that is not served here.
pub(super) fn unknown(what: impl std::fmt::Debug) -> Status {
    Status::unimplemented(format!("not served by the server of the tests: {what:?}"))
}

/// Fails unless nothing but what was taken out of it is left of a request.
pub(super) fn nothing_else<T: Default + PartialEq + std::fmt::Debug>(
    rest: T,
) -> Result<(), Status> {
    if rest == T::default() {
        Ok(())
    } else {
        Err(unknown(rest))
    }
}
