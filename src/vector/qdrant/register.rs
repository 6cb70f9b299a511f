//! The register of the editions: one point of the control collection, replaced as one step.
//!
//! ```text
//! read ──> change, register       replace(where the change is that one) ──> read back: is it ours?
//! ```
//!
//! An update of a point says nothing of whether it met its condition, so each carries a token of its
//! own. After an error nobody knows; whoever reads next does.

use qdrant_client::qdrant::Filter;
use uuid::Uuid;

use super::payload::Reader;
use super::server::Server;
use super::{control, guard, operation, read, write};
use crate::change::PointId;
use crate::reindex::Register;
use crate::{Error, Result};

const REGISTER: &str = "register";
/// Counts the changes.
pub(super) const CHANGE: &str = "change";
/// Says whose change it is.
const TOKEN: &str = "token";
const TEXT: &str = "text";

/// The register as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) register: Register,
    change: u32,
    token: String,
}

fn id() -> PointId {
    control::id(&[REGISTER])
}

/// The register; none in an index from before there was one, or a new one.
pub(super) async fn stored(server: &Server) -> Result<Option<Stored>> {
    let filter = Filter::must([guard::one_of([id()])]);
    let payloads = read::payloads(&server.link, &server.names.control(), filter).await?;
    let Some(payload) = payloads.into_iter().next() else {
        return Ok(None);
    };
    let mut payload = Reader(payload);
    let fields = (
        payload.component(CHANGE),
        payload.text(TOKEN),
        payload.text(TEXT),
    );
    let (Some(change), Some(token), Some(text)) = fields else {
        return Err(malformed("its payload is not ours"));
    };
    let register = serde_json::from_str(&text).map_err(|error| malformed(&error.to_string()))?;
    Ok(Some(Stored {
        register,
        change,
        token,
    }))
}

fn malformed(why: &str) -> Error {
    Error::malformed("the register of the index", why)
}

/// Stores the register in place of this one, or where there is none; false where it is another by then.
pub(super) async fn replace(
    server: &Server,
    stored_before: Option<&Stored>,
    register: &Register,
) -> Result<bool> {
    let text = serde_json::to_string(register).map_err(|error| malformed(&error.to_string()))?;
    let token = Uuid::new_v4().simple().to_string();
    let (condition, change) = match stored_before {
        None => (operation::lacks(control::WHAT), 1),
        Some(before) => (
            Filter::must([guard::is(CHANGE, before.change.into())]),
            before.change + 1,
        ),
    };
    let fields = [
        (CHANGE, i64::from(change).into()),
        (TOKEN, token.as_str().into()),
        (TEXT, text.into()),
    ];
    let point = operation::bare(id(), control::of(REGISTER, fields));
    let operations = vec![operation::upsert(vec![point], Some(condition))];
    write::send(&server.link, &server.names.control(), operations).await?;
    let now = stored(server).await?;
    // One that has been replaced again since was there: each counts from the one before.
    Ok(now.is_some_and(|now| now.token == token))
}
