//! The whole flow over models that misbehave on a seed, with every promise checked after every step.
//!
//! ```text
//! seed ──> edits, polls, crashes, lost history ──> SourceModel ─ capture ─> QueueModel ─ workers ─>
//!          VectorModel ──> check after each step; at rest the index equals F(source)
//! ```
//!
//! Capture, workers, plan, store and floors are the real ones; only the three backends and the
//! embedder are models, held to the contract suites of the real backends. A [`Plant`] makes a model
//! break its contract on purpose, as a bug of ours would, to show that the checks find it.

#[cfg(test)]
mod asking;
mod chaos;
mod check;
mod editions;
mod embed;
#[cfg(test)]
mod outage;
mod queue;
#[cfg(test)]
mod refusal;
mod source;
mod vector;
mod world;

pub use chaos::Chaos;
pub use editions::EditionsModel;
pub use embed::EmbedModel;
pub use queue::{ConsumerModel, QueueModel};
pub use source::{Edit, SourceModel, WatchModel};
pub use vector::VectorModel;

/// A bug, planted to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Plant {
    /// A delivery is settled when it is received.
    SettleBeforeStore,
    /// An older manifest overwrites a newer one.
    ManifestGuardDropped,
    /// An older point overwrites a newer one.
    PointGuardDropped,
    /// A delete removes the manifest and leaves no tombstone.
    TombstoneLeftOut,
    /// Tombstones are collected at any watermark, whatever is still on its way.
    TombstoneCollectedEarly,
    /// Old points are deleted by the difference of two manifests.
    DeleteByDifference,
    /// The manifest is written before the points that it names.
    ManifestBeforePoints,
    /// Kept points are not raised to the new version.
    RaiseLeftOut,
    /// A sweep takes newer points too.
    SweepUnbounded,
    /// The position is saved when events are read, before they are confirmed.
    PositionBeforeConfirm,
    /// The position is saved in the middle of a transaction.
    PositionInsideTransaction,
    /// A refused or returned message is taken for a confirmed one.
    RefusedTakenForConfirmed,
    /// A retry replays the parked body at a new version.
    OldBodyReplayed,
    /// A floor acts when the first queue has passed it.
    FloorActsEarly,
    /// A floor is not kept.
    FloorForgotten,
    /// Barriers are handed out before what was sent before them is done.
    BarrierOvertakes,
    /// A parked row of a snapshot does not hold its floor back.
    ParkedHoldNothingBack,
    /// A page says a later time than its content.
    PageTimeTooLate,
    /// A page says a time before its snapshot.
    PageTimeTooEarly,
    /// What is stored is ordered by its version alone: nothing decides between two contents of one.
    VersionAloneOrders,
    /// What arrives later does not win by that, only by its digest.
    RevisionIgnored,
    /// One queue's watermark counts for all of them.
    WatermarkOfOneCounts,
    /// A store that is away takes a write for done.
    AwayTakenForDone,
    /// What a consumer has in hand when it goes is settled.
    HandOverSettles,
    /// A search shows every point of a document that is there, named or not.
    SearchShowsUnnamed,
    /// A new edition is searched before it is filled.
    SwitchBeforeFilled,
    /// What was deleted before both editions were written to is not copied to the new one.
    TombstoneNotCopied,
    /// A change is settled when one of two editions has it.
    SettledAfterOneEdition,
    /// A floor is raised in the first edition only.
    FloorInOneEdition,
    /// Both editions are taken to be written to when the first queue says so.
    DualTooEarly,
    /// The next generation of queues begins before the end of the last one is settled.
    NextGenerationEarly,
}

impl Plant {
    /// Every bug.
    pub const ALL: [Self; 31] = [
        Self::SettleBeforeStore,
        Self::ManifestGuardDropped,
        Self::PointGuardDropped,
        Self::TombstoneLeftOut,
        Self::TombstoneCollectedEarly,
        Self::DeleteByDifference,
        Self::ManifestBeforePoints,
        Self::RaiseLeftOut,
        Self::SweepUnbounded,
        Self::PositionBeforeConfirm,
        Self::PositionInsideTransaction,
        Self::RefusedTakenForConfirmed,
        Self::OldBodyReplayed,
        Self::FloorActsEarly,
        Self::FloorForgotten,
        Self::BarrierOvertakes,
        Self::ParkedHoldNothingBack,
        Self::PageTimeTooLate,
        Self::PageTimeTooEarly,
        Self::VersionAloneOrders,
        Self::RevisionIgnored,
        Self::WatermarkOfOneCounts,
        Self::AwayTakenForDone,
        Self::HandOverSettles,
        Self::SearchShowsUnnamed,
        Self::SwitchBeforeFilled,
        Self::TombstoneNotCopied,
        Self::SettledAfterOneEdition,
        Self::FloorInOneEdition,
        Self::DualTooEarly,
        Self::NextGenerationEarly,
    ];
}

/// What a seed found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Steps that were made, those until rest included.
    pub steps: u64,
    /// Changes that were committed to the source.
    pub edits: u64,
    /// Roles that were dropped at an await.
    pub crashes: u64,
    /// Changes of the partition count that came to their end.
    pub generations: u64,
    /// Of these, those that came to it while a new edition of the index was being filled.
    pub generations_filling: u64,
    /// The promise that was broken, and how; none when all held.
    pub broken: Option<String>,
}

/// Runs one seed for `steps` steps, then until rest.
///
/// # Panics
/// When no runtime can be built.
pub fn run(seed: u64, steps: u64, plant: Option<Plant>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO should build");
    runtime.block_on(tokio::task::unconstrained(
        world::World::new(seed, plant).run(steps),
    ))
}
