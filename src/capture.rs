//! Source to queue: every change once confirmed, then the position saved.

use serde::{Deserialize, Serialize};

use crate::change::Version;

/// A snapshot under way: which pages are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPlan {
    /// The floor that follows the last page.
    pub floor: Version,
    /// The types that are left, the one being read first.
    pub kinds: Vec<String>,
    /// The last `_id` of the first type that was published.
    pub after: Option<String>,
}
