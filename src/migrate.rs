//! From the data folder to services and back: the source is copied, and the index follows by itself.
//!
//! ```text
//! origin ──page──> what the target lacks, has otherwise, has besides ──> target
//!            ▲                                    │
//!            └── again, until nothing differs ────┘──> epoch raised ──> capture, workers ──> verify
//! ```
//!
//! Only the source is copied: documents of every type, authors among them, and what the crawl
//! remembers. The index is made from it by the roles that always make it, at an epoch above everything that the
//! target's index has ever seen, so that nothing of an earlier life of it wins. Texts are embedded again, those
//! aside that the index or the embedding cache of the target has already.
//!
//! How far it is stands in a file of the data folder, which takes part in either direction:
//!
//! | the file says | what is true | next | cut off here | what may be written to the target |
//! |---|---|---|---|---|
//! | nothing | the target is not ours | look: one that is empty, or holds only what the origin holds, or is to be replaced, becomes ours | begun anew | nothing |
//! | copying | what the target holds is the origin's, as it was at some time | copy what differs, until a pass finds nothing; then the crawl's record; then the checkpoint of a new epoch | passes begin anew, and write only what is not there | whatever makes it equal |
//! | indexing, at an epoch | the target's checkpoint is of that epoch: a snapshot of everything is planned, and the log behind it is watched | copy what differs by now; capture and work until all is settled; verify; compare the sources | goes on; should the checkpoint be of another epoch, it is raised again | the same |
//! | nothing | both sources are equal, and the index has settled all of it; where it does not agree, `verify` mends it | | | nothing |
//!
//! - **Every step may be repeated.** A copy is what differs, not what comes next; so a run that was cut off goes
//!   on where it was, and what vanished from the origin meanwhile is removed.
//! - **Equal is what is stored**: type, `_id` with its BSON type, and the fields as extended JSON, in their order.
//!   A side without documents of a type has none of it.
//! - **Nobody else may write.** The data folder is held all the while. Capture of the database must not run;
//!   a program of somebody else's that writes to the database is met by the next pass, and one that never
//!   stops ends the command with what to do. The origin is only read.

mod copy;
mod epoch;
mod marker;
mod tally;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, verify};

pub use copy::{Mode, Remembered, pass, remember};
pub use epoch::seen_epoch;
pub use marker::{Marker, Stage};
pub use tally::Tally;

/// One of the two kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// `MongoDB`, `RabbitMQ` and the index that the settings name.
    Services,
    /// The data folder.
    Embedded,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Services => "services",
            Self::Embedded => "embedded",
        })
    }
}

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Where to.
    pub to: Side,
    /// Only to say how much it is.
    pub dry_run: bool,
    /// Whether what the target has besides or otherwise goes.
    pub replace: bool,
}

/// One type on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// What the origin holds.
    pub origin: Tally,
    /// What the target holds.
    pub target: Tally,
    /// Documents that the target did not have.
    pub missing: u64,
    /// Documents that the target had otherwise.
    pub other: u64,
    /// Documents that only the target had.
    pub surplus: u64,
}

impl Compared {
    /// Whether both sides hold the same.
    pub fn is_same(&self) -> bool {
        (self.missing, self.other, self.surplus) == (0, 0, 0) && self.origin == self.target
    }
}

/// What a look at both sides found, by type.
pub type Found = BTreeMap<String, Compared>;

/// Whether both sides hold the same of every type.
pub fn is_same(found: &Found) -> bool {
    found.values().all(Compared::is_same)
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Where to.
    pub to: Side,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Both sources, by type: before a dry run's copy, otherwise at the end.
    pub types: Found,
    /// Documents that were written and deleted by this run.
    pub written: u64,
    /// Pages that the crawl remembers.
    pub pages: u64,
    /// Crawls that it remembers.
    pub runs: u64,
    /// The epoch of the target from now on.
    pub epoch: Option<u32>,
    /// Whether the target's source and index agree.
    pub verified: Option<verify::Report>,
    /// Whether it has come to its end: the sources are equal, and source and index agree.
    pub complete: bool,
}

/// Whether a target that is not this migration's may become it.
///
/// # Errors
/// [`Error::Refused`] for one that has something of its own.
pub fn permit(target: &str, found: &Found) -> Result<()> {
    let sum = |of: fn(&Compared) -> u64| found.values().map(of).sum::<u64>();
    let (surplus, other) = (sum(|one| one.surplus), sum(|one| one.other));
    if (surplus, other) == (0, 0) {
        return Ok(());
    }
    Err(Error::Refused {
        service: target.to_owned(),
        why: format!(
            "it holds {surplus} documents that the origin does not have, and {other} that are other \
             ones there"
        ),
        fix:
            "give --replace to make it equal to the origin, which removes and overwrites them, or \
              migrate into an empty one"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_target_without_anything_of_its_own_is_permitted() {
        let found = |missing, other, surplus| -> Found {
            let compared = Compared {
                missing,
                other,
                surplus,
                ..Compared::default()
            };
            [("posts".to_owned(), compared)].into()
        };
        for (other, surplus) in [(1, 0), (0, 1)] {
            let refused = permit("the data folder", &found(0, other, surplus)).unwrap_err();
            assert!(refused.to_string().contains("--replace"), "{refused}");
        }
        assert!(permit("the data folder", &found(9, 0, 0)).is_ok());
    }

    #[test]
    fn equal_counts_of_other_documents_are_not_the_same() {
        let mut compared = Compared::default();
        compared.origin.add("[1]", "{}");
        compared.target.add("[2]", "{}");
        assert!(!compared.is_same());
        compared.target = compared.origin.clone();
        assert!(compared.is_same());
    }
}
