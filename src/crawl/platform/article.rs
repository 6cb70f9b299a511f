//! Any page that no other platform knows.

use super::{Plan, Platform};
use crate::crawl::link::normalised;

pub(super) const PLATFORM: Platform = Platform {
    name: "article",
    plan: |url, _| Some(Plan::Page(url.clone())),
    identity: normalised,
    // What is left of all pages is read as such, also from disk.
    read: |_, _| None,
};
