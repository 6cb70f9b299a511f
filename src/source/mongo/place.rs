//! A place in the change stream, and how it is written as a [`Position`]. Pure.
//!
//! ```text
//! {"time":[seconds,increment],"token":{"_data":"82…"}}      after an event, or an empty answer
//! {"time":[seconds,increment]}                              before the first answer
//! ```

use bson::{RawDocument, Timestamp};
use mongodb::change_stream::event::ResumeToken;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json;
use crate::change::{Position, Time};
use crate::{Error, Result};

/// A place in the change stream: everything at or before its time lies before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    time: (u32, u32),
    /// The server's own name for the place, as canonical extended JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Value>,
}

impl Place {
    /// The place just after every change of this time.
    pub(super) fn after_time(time: Time) -> Self {
        Self {
            time: (time.seconds, time.increment),
            token: None,
        }
    }

    /// The place that the server named so.
    pub(super) fn named(token: &RawDocument, time: Time) -> Result<Self> {
        Ok(Self {
            token: Some(json::canonical(token)?),
            ..Self::after_time(time)
        })
    }

    /// The time up to which everything lies before it.
    pub(super) fn time(&self) -> Time {
        Time {
            seconds: self.time.0,
            increment: self.time.1,
        }
    }

    /// The token to start after, if the server has named the place.
    pub(super) fn token(&self) -> Result<Option<ResumeToken>> {
        let parse = |token: &Value| {
            serde_json::from_value::<bson::Bson>(token.clone())
                .map_err(|error| error.to_string())
                .and_then(|token| {
                    bson::deserialize_from_bson(token).map_err(|error| error.to_string())
                })
                .map_err(|error| Error::malformed("the saved resume token", error))
        };
        self.token.as_ref().map(parse).transpose()
    }

    /// Whether this place is not after the other, as far as the tokens tell: those in MongoDB's form
    /// sort as their places do, and of others only the same one is known.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        match (self.sorted_token(), other.sorted_token()) {
            (Some(own), Some(other)) => own <= other,
            _ => self == other,
        }
    }

    fn sorted_token(&self) -> Option<&str> {
        let data = self.token.as_ref()?.get("_data")?.as_str()?;
        let is_sorted = data.starts_with("82") && data.bytes().all(|it| it.is_ascii_hexdigit());
        is_sorted.then_some(data)
    }

    /// As the other rooms carry it.
    pub(super) fn position(&self) -> Position {
        // A tuple and a JSON value cannot fail to serialise.
        Position(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The place that a position names.
    ///
    /// # Errors
    /// [`Error::HistoryLost`] for the position of another source.
    pub(super) fn read(position: &Position) -> Result<Self> {
        serde_json::from_slice(&position.0).map_err(|_| Error::HistoryLost {
            why: format!("{position:?} is a position of another source"),
        })
    }
}

/// The time of a BSON timestamp.
pub(super) fn time(timestamp: Timestamp) -> Time {
    Time {
        seconds: timestamp.time,
        increment: timestamp.increment,
    }
}

/// The BSON timestamp of a time.
pub(super) fn timestamp(time: Time) -> Timestamp {
    Timestamp {
        time: time.seconds,
        increment: time.increment,
    }
}

/// The next time that can be.
pub(super) fn just_after(time: Time) -> Time {
    Time::from_sequence(time.sequence().saturating_add(1))
}

/// The time up to which a stream has certainly been read when an empty answer bears this token:
/// just before the token's own. None for a token that is not in MongoDB's form.
///
/// A token begins, in hexadecimal, with the type byte 82 and its cluster time. The token of an empty
/// answer sorts before the events of its own time, and on a sharded cluster another shard may still
/// send one: only what is earlier is certain.
pub(super) fn certain_before(token: &RawDocument) -> Option<Time> {
    let data = token.get_str("_data").ok()?.strip_prefix("82")?;
    let word = |at: usize| u32::from_str_radix(data.get(at..at + 8)?, 16).ok();
    let time = Time {
        seconds: word(0)?,
        increment: word(8)?,
    };
    Some(Time::from_sequence(time.sequence().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    #[test]
    fn a_position_names_its_place_again() {
        let time = Time {
            seconds: 7,
            increment: 3,
        };
        let token = rawdoc! { "_data": "8200", "typeBits": 5_i64 };
        for place in [Place::after_time(time), Place::named(&token, time).unwrap()] {
            assert_eq!(Place::read(&place.position()).unwrap(), place);
            assert_eq!(place.time(), time);
        }
        let named = Place::named(&token, time).unwrap().token().unwrap();
        let named = bson::serialize_to_raw_document_buf(&named.unwrap()).unwrap();
        assert_eq!(named, token);
    }

    #[test]
    fn places_are_compared_by_tokens_that_sort_and_otherwise_for_being_the_same() {
        let place = |data: &str| Place::named(&rawdoc! { "_data": data }, Time::default()).unwrap();
        let (first, second) = (place("8264C1A5F00000000129"), place("8264C1A5F0000000012B"));
        assert!(first.is_within(&second) && first.is_within(&first));
        assert!(!second.is_within(&first));
        let strange = [place("82-a"), place("82-b")];
        assert!(!strange[0].is_within(&strange[1]) && strange[0].is_within(&strange[0]));
        assert!(!first.is_within(&Place::after_time(Time::default())));
    }

    #[test]
    fn the_position_of_another_source_is_lost_history() {
        let other = Place::read(&Position(vec![0; 8])).unwrap_err();
        assert!(matches!(other, Error::HistoryLost { .. }), "{other}");
    }

    #[test]
    fn an_empty_answer_is_certain_up_to_just_before_its_tokens_time() {
        let mark = "8264C1A5F0000000052B0229296E04";
        let certain = certain_before(&rawdoc! { "_data": mark }).unwrap();
        assert_eq!((certain.seconds, certain.increment), (0x64C1_A5F0, 4));
        for strange in [
            "",
            "82",
            "8264C1A5",
            "3800000010730001000000",
            "82zzzzzzzzzzzzzzzz",
        ] {
            assert_eq!(certain_before(&rawdoc! { "_data": strange }), None);
        }
        assert_eq!(certain_before(&rawdoc! { "_data": 5 }), None);
    }
}
