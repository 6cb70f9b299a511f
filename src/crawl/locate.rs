//! Where a git repository is and whether it lets us in, asked before anything is fetched.
//!
//! ```text
//! link ──info/refs──> there
//!          │  ├─ moved: followed, and judged anew; the token is not taken along
//!          │  └─ who are you: asked again with the token, where it is for this host
//!          └──── no, and why
//! ```

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use url::Url;

use super::Settings;
use super::denial::{self, Asked};
use super::fetch::Fetcher;
use super::manners::Turn;
use crate::{Error, Result};

/// Redirects followed for one repository; more is a loop or a chase.
const MOVES_MAX: usize = 5;
/// With what every path ends at which a server says what a repository has.
const REFS: &str = "/info/refs";
/// What such an answer is.
const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";

/// A repository that is there.
pub(crate) struct Located {
    /// Where it can be fetched.
    pub(crate) url: Url,
    /// What has to be shown there.
    pub(crate) authorization: Option<HeaderValue>,
    /// Whether it is elsewhere than asked, for good.
    pub(crate) has_moved: bool,
}

/// Asks a server for a repository, and where it is, follows. The turn is that of the host where it is: what is fetched
/// there then is of the same visit, and begins without another pause.
///
/// # Errors
/// [`Error::Fetch`] when it is not there, or not for us.
pub(crate) async fn locate(
    start: &Url,
    fetcher: &Fetcher,
    settings: &Settings,
) -> Result<(Located, Turn)> {
    let fail = |why: String| Error::Fetch {
        link: start.to_string(),
        why,
    };
    let mut at = Located {
        url: bare(start),
        authorization: None,
        has_moved: false,
    };
    let mut moves = 0;
    loop {
        let headers = headers(at.authorization.as_ref());
        let asked = fetcher.query(&refs(&at.url), &headers).await;
        let (asked, turn) = asked.map_err(|error| match error {
            Error::Fetch { why, .. } => fail(why),
            error => error,
        })?;
        let shown = at.authorization.is_some();
        match step(asked.status(), asked.headers(), shown, &at.url).map_err(fail)? {
            Step::There => return Ok((at, turn)),
            Step::Moved(_, _) if moves == MOVES_MAX => {
                return Err(fail(format!(
                    "it was redirected more than {MOVES_MAX} times"
                )));
            }
            Step::Moved(url, for_good) => {
                moves += 1;
                at = Located {
                    url,
                    authorization: None,
                    // What is elsewhere for now may be back tomorrow.
                    has_moved: for_good && (moves == 1 || at.has_moved),
                };
            }
            Step::WhoAreYou => {
                let Some(authorization) = basic(fetcher, &at.url, settings) else {
                    let status = StatusCode::UNAUTHORIZED;
                    let why = denial::why(status, &HeaderMap::new(), repository(false));
                    return Err(fail(why));
                };
                at.authorization = Some(authorization);
            }
        }
    }
}

fn headers(authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // The second version of the protocol says little until it is asked.
    headers.insert("git-protocol", HeaderValue::from_static("version=2"));
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}

/// The token for this place, as git servers take it.
fn basic(fetcher: &Fetcher, url: &Url, settings: &Settings) -> Option<HeaderValue> {
    let token = settings.github_token_for(url)?;
    // The name that GitHub takes beside any of its tokens.
    fetcher.basic(url, "x-access-token", token)
}

/// What an answer means for what is done next.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    There,
    /// Where to, and whether for good.
    Moved(Url, bool),
    WhoAreYou,
}

fn step(status: StatusCode, headers: &HeaderMap, shown: bool, url: &Url) -> Result<Step, String> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if status.is_success() {
        let is_git = text(CONTENT_TYPE).is_some_and(|kind| kind.trim() == ADVERTISEMENT);
        let none = || "it is no git repository, or one of a kind that is not read".to_owned();
        return is_git.then_some(Step::There).ok_or_else(none);
    }
    if status.is_redirection() {
        let to = text(LOCATION).and_then(|to| refs(url).join(to).ok());
        let to = to.ok_or("it was redirected to nowhere")?;
        if url.scheme() == "https" && to.scheme() != "https" {
            return Err("it leads to where nothing is encrypted, which is not followed".to_owned());
        }
        let path = to.path().strip_suffix(REFS);
        let path = path.ok_or_else(|| {
            let place = to.host_str().unwrap_or_default();
            format!("it leads to a page of {place}: it is not there, or for members only")
        })?;
        let for_good = matches!(
            status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT
        );
        let mut next = to.clone();
        next.set_path(path);
        return Ok(Step::Moved(bare(&next), for_good));
    }
    if status == StatusCode::UNAUTHORIZED && !shown {
        return Ok(Step::WhoAreYou);
    }
    Err(denial::why(status, headers, repository(shown)))
}

fn repository(with_token: bool) -> Asked<'static> {
    Asked {
        thing: "no repository of this name",
        with_token,
    }
}

/// A repository's address, with nothing that is not part of it.
fn bare(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url.set_query(None);
    // What cannot have a name or password has none.
    url.set_username("").ok();
    url.set_password(None).ok();
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// Where the server says what the repository has.
fn refs(url: &Url) -> Url {
    let mut at = url.clone();
    at.set_path(&format!("{}{REFS}", url.path().trim_end_matches('/')));
    at.set_query(Some("service=git-upload-pack"));
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn moved(status: u16, to: &str) -> Result<Step, String> {
        let headers = HeaderMap::from_iter([(LOCATION, to.parse().unwrap())]);
        let status = StatusCode::from_u16(status).unwrap();
        step(status, &headers, false, &url("https://example.org/a/b"))
    }

    #[test]
    fn a_move_is_followed_to_a_repository_and_to_nothing_else() {
        let query = "?service=git-upload-pack";
        let to = |link| Step::Moved(url(link), true);
        let next = moved(301, &format!("https://example.org/c/d/info/refs{query}"));
        assert_eq!(next, Ok(to("https://example.org/c/d")));
        let next = moved(308, &format!("/c/d.git/info/refs{query}"));
        assert_eq!(next, Ok(to("https://example.org/c/d.git")));
        let next = moved(302, "https://other.example/a/b/info/refs");
        let later = Step::Moved(url("https://other.example/a/b"), false);
        assert_eq!(next, Ok(later));
        let named = moved(301, "https://a:b@example.org/c/d/info/refs");
        assert_eq!(named, Ok(to("https://example.org/c/d")));
        let open = moved(301, "http://example.org/c/d/info/refs").unwrap_err();
        assert!(open.contains("encrypted"), "{open}");
        let page = moved(302, "https://example.org/users/sign_in").unwrap_err();
        assert!(page.contains("for members only"), "{page}");
    }

    #[test]
    fn a_page_in_place_of_a_repository_is_none() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, "text/html".parse().unwrap())]);
        let link = url("https://example.org/a/b");
        let why = step(StatusCode::OK, &headers, false, &link).unwrap_err();
        assert!(why.contains("no git repository"), "{why}");
    }

    #[test]
    fn who_we_are_is_told_once() {
        let (headers, link) = (HeaderMap::new(), url("https://example.org/a/b"));
        let ask = |shown| step(StatusCode::UNAUTHORIZED, &headers, shown, &link);
        assert_eq!(ask(false), Ok(Step::WhoAreYou));
        assert!(ask(true).unwrap_err().contains("does not take"));
    }

    #[test]
    fn a_repository_is_asked_for_without_what_a_browser_adds() {
        let at = refs(&bare(&url("https://github.com/ada/engine/?tab=readme#top")));
        let expected = "https://github.com/ada/engine/info/refs?service=git-upload-pack";
        assert_eq!(at.as_str(), expected);
    }
}
