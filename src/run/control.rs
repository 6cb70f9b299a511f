//! Orders to the capture of a MongoDB, from any process that reaches it.
//!
//! ```text
//! order ──> state database ──> the active capture does it ──> how capture stands now
//! ```

use std::collections::BTreeSet;

use super::capture::source_settings;
use super::patience::patiently;
use crate::capture::{Resync, afresh};
use crate::clock::Clock;
use crate::command::Stance;
use crate::config::Config;
use crate::source::Checkpoint;
use crate::source::mongo::{MongoSource, Standing};
use crate::{Error, Result};

/// What capture is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Say how it stands.
    Show,
    /// Forget the position and read everything again; while paused.
    Reset {
        /// Whether every version is to be newer than all before, as after a restored backup.
        new_epoch: bool,
    },
    /// Go back to a moment, RFC 3339; while paused.
    Rewind {
        /// The moment.
        to: String,
    },
    /// Stand still, also over restarts.
    Pause,
    /// Go on.
    Resume,
    /// Read a type again, or everything.
    Snapshot {
        /// The type; none for all.
        kind: Option<String>,
    },
}

impl From<Standing> for Stance {
    fn from(standing: Standing) -> Self {
        let saved = standing.checkpoint.as_ref();
        let kinds = saved.map(|saved| saved.snapshot.kinds().map(str::to_owned).collect());
        Self {
            epoch: saved.map(|saved| saved.epoch),
            snapshot: kinds.unwrap_or_default(),
            resets: saved.map_or(0, |saved| saved.resets),
            position: standing.moment(),
            oplog_window_seconds: standing.window.map(|window| window.as_secs()),
            owner: standing.owner,
            paused: standing.paused,
        }
    }
}

/// Gives the order and says how capture stands then.
///
/// # Errors
/// [`Error::Config`] where no MongoDB is set; [`Error::Refused`] for moving the position of a capture
/// that does not rest.
pub async fn control(config: &Config, order: Order) -> Result<Stance> {
    if !config.source.url.is_set() {
        return Err(Error::Config {
            setting: "source.url".into(),
            why:
                "it is not set, and this is about the capture of a MongoDB; embedded, capture is a \
                  part of `lockstep up`, and `lockstep resync` reads documents again"
                    .into(),
        });
    }
    let open = || MongoSource::open(source_settings(config), Clock::system());
    let source = patiently(config, open).await?;
    match order {
        Order::Show => {}
        Order::Pause => {
            source.set_paused(true).await?;
            source.rested().await?;
        }
        Order::Resume => source.set_paused(false).await?,
        Order::Reset { new_epoch } => {
            let saved = source.checkpoint().await?;
            let epoch = saved.as_ref().map_or(1, |saved| saved.epoch);
            let kinds = watched(config, saved);
            let (_, fresh) = afresh(&source, epoch + u32::from(new_epoch), kinds).await?;
            source.replace_checkpoint(Some(&fresh)).await?;
        }
        Order::Rewind { to } => {
            let saved = source.checkpoint().await?.ok_or_else(|| Error::NotFound {
                what: "a saved position".into(),
            })?;
            let position = MongoSource::position_before(&saved.position, &to)?;
            let back = Checkpoint { position, ..saved };
            source.replace_checkpoint(Some(&back)).await?;
        }
        Order::Snapshot { kind } => {
            is_carried(&source.standing().await?)?;
            let kinds = watched(config, source.checkpoint().await?);
            let kinds = match kind {
                Some(kind) if kinds.contains(&kind) => BTreeSet::from([kind]),
                Some(kind) => return Err(unwatched(&kind, &kinds)),
                None => kinds,
            };
            for kind in kinds {
                source.ask(&Resync::Kind(kind)).await?;
            }
        }
    }
    Ok(source.standing().await?.into())
}

/// The types that capture watches: those of the settings, or all that it has met where they name none.
fn watched(config: &Config, saved: Option<Checkpoint>) -> BTreeSet<String> {
    let mut kinds: BTreeSet<String> = config.source.collections.iter().cloned().collect();
    kinds.extend(saved.into_iter().flat_map(|saved| saved.kinds));
    kinds
}

fn unwatched(kind: &str, kinds: &BTreeSet<String>) -> Error {
    let known: Vec<_> = kinds.iter().map(String::as_str).collect();
    Error::Config {
        setting: format!("type {kind}"),
        why: format!(
            "capture does not watch it, so nothing would keep it up to date; it watches {}",
            known.join(", ")
        ),
    }
}

/// Whether somebody would do now what is asked of capture; otherwise the asker would wait for ever.
pub(super) fn is_carried(standing: &Standing) -> Result<()> {
    let (why, fix) = match standing {
        Standing { owner: None, .. } => ("no process captures", "start `lockstep capture`"),
        Standing { paused: true, .. } => (
            "it is paused",
            "let it go on with `lockstep resume capture`",
        ),
        Standing { .. } => return Ok(()),
    };
    Err(Error::Refused {
        service: "capture".into(),
        why: why.into(),
        fix: fix.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_of_what_capture_watches() {
        let mut config = Config::default();
        let saved = Checkpoint {
            epoch: 1,
            position: crate::change::Position(Vec::new()),
            snapshot: crate::capture::SnapshotPlan::default(),
            kinds: ["posts".to_owned()].into(),
            watched: None,
            resets: 0,
        };
        // Without names in the settings everything is watched, and what was met is known.
        config.source.collections = Vec::new();
        assert_eq!(watched(&config, Some(saved)), ["posts".to_owned()].into());
        config.source.collections = vec!["notes".to_owned()];
        let error = unwatched("posts", &watched(&config, None)).to_string();
        assert!(
            error.contains("posts") && error.contains("notes"),
            "{error}"
        );
    }

    #[test]
    fn what_nobody_would_do_is_refused_with_the_reason() {
        let standing = |owner: Option<&str>, paused| Standing {
            owner: owner.map(str::to_owned),
            paused,
            checkpoint: None,
            time: None,
            window: None,
        };
        let told = |standing: Standing| is_carried(&standing).unwrap_err().to_string();
        assert!(told(standing(None, false)).contains("start `lockstep capture`"));
        assert!(told(standing(Some("a:1"), true)).contains("lockstep resume capture"));
        assert!(is_carried(&standing(Some("a:1"), false)).is_ok());
    }
}
