//! Git repositories anywhere: by `.git` at a link's end, and on hosts that hold little else.

use std::path::Path;

use url::Url;

use super::{Plan, Platform, parts};
use crate::crawl::link::normalised;

pub(super) const PLATFORM: Platform = Platform {
    name: "git",
    plan,
    identity: normalised,
    read: |_, _| None,
};

fn plan(url: &Url, asked: bool) -> Option<Plan> {
    let path = url.path().trim_end_matches('/');
    let named = Path::new(path).extension().is_some_and(|ext| ext == "git");
    let held = url.host_str() == Some("codeberg.org") && parts(url).len() == 2;
    (asked || named || held).then(|| Plan::Repository(url.clone()))
}
