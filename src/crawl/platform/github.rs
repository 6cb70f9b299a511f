//! GitHub: repositories.

use url::Url;

use super::{Plan, Platform, parts};
use crate::crawl::link::normalised;

pub(super) const PLATFORM: Platform = Platform {
    name: "github",
    plan,
    identity: normalised,
    read: |_, _| None,
};

fn plan(url: &Url, asked: bool) -> Option<Plan> {
    let host = url.host_str().unwrap_or_default();
    if !(asked || matches!(host, "github.com" | "www.github.com")) {
        return None;
    }
    match parts(url)[..] {
        [_, _] => Some(Plan::Repository(url.clone())),
        _ => None,
    }
}
