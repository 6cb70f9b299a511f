//! Joins the fragments of a large event. Pure.
//!
//! ```text
//! {_id: a, splitEvent: 1 of 2, operationType, …} ┐
//! {_id: b, splitEvent: 2 of 2, fullDocument, …}  ┴──> one event with the token b
//! ```
//!
//! A fragment holds whole top-level fields. There is no place between two fragments: only the last
//! one's token names a place after the event.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use crate::{Error, Result};

/// The fragments of one event that have come so far.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    parts: Vec<RawDocumentBuf>,
}

impl Joiner {
    /// Takes what the stream sent next; gives an event when it is whole.
    ///
    /// # Errors
    /// [`Error::Malformed`] where a fragment is missing.
    pub(super) fn take(&mut self, sent: RawDocumentBuf) -> Result<Option<RawDocumentBuf>> {
        // Nearly none has it, and an error would be made for each.
        let fragment = match sent.get("splitEvent") {
            Ok(Some(RawBsonRef::Document(split))) => {
                Some((count(split, "fragment")?, count(split, "of")?))
            }
            _ => None,
        };
        let Some((number, of)) = fragment.filter(|fragment| *fragment != (1, 1)) else {
            return if self.parts.is_empty() {
                Ok(Some(sent))
            } else {
                Err(self.broken())
            };
        };
        if number != self.parts.len() + 1 || number > of {
            return Err(self.broken());
        }
        self.parts.push(sent);
        if number < of {
            return Ok(None);
        }
        join(&std::mem::take(&mut self.parts)).map(Some)
    }

    /// True between two fragments of an event.
    pub(super) fn is_waiting(&self) -> bool {
        !self.parts.is_empty()
    }

    fn broken(&self) -> Error {
        let why = format!("fragment {} of it is missing", self.parts.len() + 1);
        Error::malformed("a split event", why)
    }
}

fn count(split: &RawDocument, name: &str) -> Result<usize> {
    let found = split.get_i32(name);
    let found = found.map_err(|error| Error::malformed("a split event", error.to_string()))?;
    usize::try_from(found).map_err(|error| Error::malformed("a split event", error.to_string()))
}

fn join(parts: &[RawDocumentBuf]) -> Result<RawDocumentBuf> {
    let mut whole = RawDocumentBuf::new();
    for (index, part) in parts.iter().enumerate() {
        for field in part {
            let malformed = |error: bson::error::Error| {
                Error::malformed("a fragment of a split event", error.to_string())
            };
            let (name, value) = field.map_err(malformed)?;
            let is_token = name == "_id";
            if name != "splitEvent" && (!is_token || index + 1 == parts.len()) {
                whole.append(name, value);
            }
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn fragment(token: &str, number: i32, of: i32, name: &str) -> RawDocumentBuf {
        let mut sent = rawdoc! { "_id": token, "splitEvent": { "fragment": number, "of": of } };
        sent.append(bson::raw::CString::try_from(name).unwrap(), number);
        sent
    }

    #[test]
    fn fragments_become_one_event_with_the_last_token() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.take(fragment("a", 1, 3, "x")).unwrap(), None);
        assert_eq!(joiner.take(fragment("b", 2, 3, "y")).unwrap(), None);
        assert!(joiner.is_waiting());
        let whole = joiner.take(fragment("c", 3, 3, "z")).unwrap().unwrap();
        assert_eq!(whole, rawdoc! { "x": 1, "y": 2, "_id": "c", "z": 3 });
        assert!(!joiner.is_waiting());
    }

    #[test]
    fn an_event_that_was_not_split_passes_as_it_is() {
        let mut joiner = Joiner::default();
        for sent in [rawdoc! { "_id": "a" }, fragment("a", 1, 1, "x")] {
            assert_eq!(joiner.take(sent.clone()).unwrap(), Some(sent));
        }
    }

    #[test]
    fn a_missing_fragment_is_said() {
        let gap = [fragment("a", 1, 3, "x"), fragment("c", 3, 3, "z")];
        let headless = [fragment("b", 2, 2, "y")];
        let cut = [fragment("a", 1, 2, "x"), rawdoc! { "_id": "b" }];
        for sent in [&gap[..], &headless, &cut] {
            let mut joiner = Joiner::default();
            let last = sent.iter().map(|sent| joiner.take(sent.clone())).last();
            assert!(last.unwrap().is_err(), "{sent:?}");
        }
    }
}
