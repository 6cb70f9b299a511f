//! GitHub: repositories, gists, and all that an account has.
//!
//! ```text
//! github.com/owner/name            a repository
//! gist.github.com/user/<id>        a gist, which is one too
//! github.com/user, /orgs/name      every repository of the account that is no fork, and its gists
//! gist.github.com/user             its gists
//! github.com/owner/name/tree/v1.2  refused, with the command that reads that state
//! ```
//!
//! A server of one's own (GitHub Enterprise) is read alike where a person says that it is one.

use serde_json::Value;
use url::Url;

use super::{Plan, Platform, beside, parts};
use crate::crawl::link::normalised;

pub(super) const PLATFORM: Platform = Platform {
    name: "github",
    plan,
    identity: normalised,
    read: |_, _| None,
};

/// The hosts of GitHub itself.
const MAIN: &str = "github.com";
const WWW: &str = "www.github.com";
const GISTS: &str = "gist.github.com";
/// What a token may be to a repository; the owner's name decides which are taken.
const SEEN: &str = "owner,collaborator,organization_member";
/// First parts of a path that stand for no account.
const OWN: [&str; 20] = [
    "about",
    "apps",
    "codespaces",
    "collections",
    "customer-stories",
    "enterprise",
    "events",
    "explore",
    "features",
    "login",
    "marketplace",
    "new",
    "notifications",
    "organizations",
    "pricing",
    "readme",
    "search",
    "settings",
    "topics",
    "trending",
];
/// Digits of a gist's id, at least; the oldest are numbers.
const GIST_DIGITS: usize = 20;
/// Entries a page of the API, the most it gives.
pub(crate) const PAGE: usize = 100;

/// All that an account has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its page.
    pub(crate) home: Url,
    /// Its name.
    pub(crate) name: String,
    /// Whether its repositories are wanted, and not its gists alone.
    pub(crate) repositories: bool,
}

fn plan(url: &Url, asked: bool) -> Option<Plan> {
    let gists = url.host_str() == Some(GISTS);
    if !(asked || is_own(url)) {
        return None;
    }
    let account = |name: &str, repositories| {
        Plan::Account(Account {
            home: at(url, &format!("/{name}")),
            name: name.to_owned(),
            repositories,
        })
    };
    Some(match parts(url)[..] {
        [id] | [_, id] if gists && is_gist(id) => Plan::Repository(gist(url, id)),
        [name] if gists && is_login(name) => account(name, false),
        ["orgs", name] | ["orgs", name, "repositories"] if !gists && is_login(name) => {
            account(name, true)
        }
        [name] if !gists && is_login(name) => account(name, true),
        [first, name] if !gists && is_login(first) => {
            Plan::Repository(at(url, &format!("/{first}/{name}")))
        }
        [owner, name, "tree", reference, ref rest @ ..]
            if !gists && is_login(owner) && is_plain(name) =>
        {
            let repository = at(url, &format!("/{owner}/{name}"));
            Plan::Refused(chosen(&repository, reference, !rest.is_empty()))
        }
        _ => Plan::Page(url.clone()),
    })
}

/// How a state of a repository is chosen. Where the name of a branch ends and a folder of it begins only the
/// repository knows, so that what stands behind the first slash is not guessed at.
fn chosen(repository: &Url, reference: &str, goes_on: bool) -> String {
    let reference = if is_plain(reference) {
        reference
    } else {
        "<name>"
    };
    let named = if is_own(repository) {
        ""
    } else {
        " --as github"
    };
    let whole = if goes_on {
        "; a name with slashes in it goes whole, and a folder cannot be read alone"
    } else {
        ""
    };
    format!(
        "a branch, tag or commit is chosen by its name: \
         lockstep crawl {repository} --ref {reference}{named}{whole}"
    )
}

/// Whether a link is one of GitHub itself.
pub(super) fn is_own(url: &Url) -> bool {
    matches!(url.host_str(), Some(MAIN | WWW | GISTS))
}

/// A place on the same host, under the name and the scheme that GitHub itself uses.
fn at(url: &Url, path: &str) -> Url {
    let mut url = beside(url, path);
    if url.host_str() == Some(WWW) {
        // A name that is known to be one, and a scheme as special as the one before.
        url.set_host(Some(MAIN)).ok();
    }
    if is_own(&url) {
        url.set_scheme("https").ok();
    }
    url
}

/// Whether a path's first part is an account, as names of accounts are.
fn is_login(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    name.chars().all(fits) && !OWN.contains(&name)
}

/// Whether a part of a path is a name that stands as it is, in a link and in a command.
fn is_plain(part: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !part.is_empty() && part != "." && part != ".." && part.chars().all(fits)
}

fn is_gist(id: &str) -> bool {
    id.len() >= GIST_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where a gist is cloned from.
fn gist(home: &Url, id: &str) -> Url {
    if !is_own(home) {
        return beside(home, &format!("/gist/{id}.git"));
    }
    let mut url = at(home, &format!("/{id}.git"));
    // A name that is known to be one.
    url.set_host(Some(GISTS)).ok();
    url
}

impl Account {
    /// The lists of the API that name what the account has, each without its page's number.
    ///
    /// With a token also the list of what the token's owner may see, which alone has what is private.
    pub(crate) fn lists(&self, has_token: bool) -> Vec<Url> {
        let name = &self.name;
        let mut paths = Vec::new();
        if self.repositories {
            paths.push(format!("users/{name}/repos?type=owner&per_page={PAGE}"));
            if has_token {
                paths.push(format!("user/repos?affiliation={SEEN}&per_page={PAGE}"));
            }
        }
        paths.push(format!("users/{name}/gists?per_page={PAGE}"));
        let api = api(&self.home);
        paths
            .iter()
            .filter_map(|path| Url::parse(&format!("{api}/{path}")).ok())
            .collect()
    }

    /// Where an entry of such a list is cloned from; none for forks and for what is another's.
    ///
    /// Made of names alone: an answer cannot send us to another host.
    pub(crate) fn held(&self, entry: &Value) -> Option<Url> {
        let text = |path: &str| entry.pointer(path).and_then(Value::as_str);
        if !text("/owner/login")?.eq_ignore_ascii_case(&self.name) {
            return None;
        }
        if let Some(id) = text("/git_pull_url").and(text("/id")) {
            return is_gist(id).then(|| gist(&self.home, id));
        }
        if entry.get("fork").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let (owner, name) = text("/full_name")?.split_once('/')?;
        let plain = is_plain(owner) && is_plain(name);
        plain.then(|| beside(&self.home, &format!("/{owner}/{name}")))
    }
}

/// Where the API of a host is.
fn api(home: &Url) -> String {
    if is_own(home) {
        return "https://api.github.com".to_owned();
    }
    format!("{}/api/v3", home.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(link: &str) -> Account {
        match plan(&Url::parse(link).unwrap(), false) {
            Some(Plan::Account(account)) => account,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_account_is_listed_by_the_api_and_its_private_part_with_a_token_only() {
        let ada = account("https://github.com/ada");
        let lists = |token| {
            ada.lists(token)
                .iter()
                .map(Url::to_string)
                .collect::<Vec<_>>()
        };
        let public = "https://api.github.com/users/ada/repos?type=owner&per_page=100";
        let gists = "https://api.github.com/users/ada/gists?per_page=100";
        let own = "https://api.github.com/user/repos?affiliation=owner,collaborator,organization_member\
            &per_page=100";
        assert_eq!(lists(false), [public, gists]);
        assert_eq!(lists(true), [public, own, gists]);
        let gists_only = account("https://gist.github.com/ada").lists(true);
        assert_eq!(
            gists_only.iter().map(Url::as_str).collect::<Vec<_>>(),
            [gists]
        );
    }

    #[test]
    fn forks_and_what_belongs_to_others_or_has_odd_names_are_not_held() {
        let ada = account("https://github.com/ada");
        let held = |entry: Value| ada.held(&entry).map(String::from);
        let entry = |name: &str, login: &str, fork: bool| {
            json!({"full_name": name, "owner": {"login": login}, "fork": fork,
                "clone_url": "https://evil.example/x.git"})
        };
        let engine = "https://github.com/Ada/engine.rs".to_owned();
        assert_eq!(held(entry("Ada/engine.rs", "Ada", false)), Some(engine));
        assert_eq!(held(entry("ada/engine", "ada", true)), None);
        assert_eq!(held(entry("byron/engine", "byron", false)), None);
        assert_eq!(held(entry("ada/../x", "ada", false)), None);
        let gist = json!({"id": "aa5a315d61ae9438b18d", "owner": {"login": "ada"},
            "git_pull_url": "https://evil.example/x.git"});
        let expected = "https://gist.github.com/aa5a315d61ae9438b18d.git".to_owned();
        assert_eq!(held(gist), Some(expected));
    }
}
