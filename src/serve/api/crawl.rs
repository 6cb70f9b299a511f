//! `/v1/crawl`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Shared;
use super::super::extract::{Body, Segments};
use super::super::jobs::{self, Counts, Kept, Refused, State as JobState};
use super::super::problem::Problem;
use super::said;
use crate::command::Library;
use crate::crawl;
use crate::moment::rfc3339;

/// How long whoever found the queue full, or closed, waits before asking again, in seconds.
const FULL_SECONDS: u32 = 30;

/// Characters of a name, which goes into every document.
const USER_LENGTH_MAX: usize = 256;
/// Characters of a link; longer ones are no page's, and each waiting job keeps its own.
const LINK_LENGTH_MAX: usize = 8_192;

/// What is to be crawled, and whose it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// Whose it is: a full name, or the id of somebody who is stored.
    #[schema(pattern = r"\S", max_length = 256)]
    user: String,
    /// An http or https link: a page, a feed's home, a repository.
    #[schema(format = "iri", pattern = "^https?://[0-9A-Za-z]", max_length = 8192)]
    link: String,
}

/// A crawl that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    /// What it is polled by.
    #[schema(format = "uuid")]
    id: String,
    state: Stage,
    user: String,
    link: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    asked_at: String,
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// How far it is while it runs.
    progress: Option<Progress>,
    /// What it changed, when it is done.
    counts: Option<Counts>,
    /// Why it failed.
    reason: Option<String>,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

/// How far a crawl is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// What is being done.
    stage: String,
    /// Things that are done.
    done: u64,
    /// Things in all, where known.
    total: Option<u64>,
}

/// Asks for a crawl; the answer is a job to be polled. A restart forgets jobs; what a crawl has saved stays.
#[utoipa::path(
    post,
    path = "/v1/crawl",
    tag = "crawl",
    request_body = Order,
    responses(
        (status = ACCEPTED, description = "The job, which waits for its turn", body = Job,
            headers(("location" = String, description = "Where the job is polled"))),
        (status = TOO_MANY_REQUESTS, description = "As many crawls wait as may", body = Problem,
            content_type = "application/problem+json",
            headers(("retry-after" = i32, description = "Seconds"))),
        (status = SERVICE_UNAVAILABLE, description = "The process is stopping, or answers too many already", body = Problem,
            content_type = "application/problem+json",
            headers(("retry-after" = i32, description = "Seconds"))),
    ),
)]
pub(crate) async fn order<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    Body(order): Body<Order>,
) -> Result<Response, Problem> {
    said("user", &order.user)?;
    let what = what(&order.user, &order.link)?;
    let (id, _) = shared.jobs.ask(what).map_err(refusal)?;
    let job = shared
        .jobs
        .get(id)
        .ok_or_else(|| unknown(&id.to_string()))?;
    let location = format!("/v1/crawl/{id}");
    let job = Json(Job::new(id, job));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], job).into_response())
}

/// A job that was asked for.
#[utoipa::path(
    get,
    path = "/v1/crawl/{job}",
    tag = "crawl",
    params(("job" = String, Path, format = "uuid", description = "The id that the order was answered with")),
    responses(
        (status = OK, description = "How far it is", body = Job),
        (status = NOT_FOUND, description = "It is not remembered any more, or never was", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn job<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    Segments(text): Segments<String>,
) -> Result<Json<Job>, Problem> {
    let id = Uuid::parse_str(&text).map_err(|_| unknown(&text))?;
    let job = shared.jobs.get(id).ok_or_else(|| unknown(&text))?;
    Ok(Json(Job::new(id, job)))
}

/// Cancels a crawl; what it has saved stays. One that waits is taken out of the queue, one that runs is cut off. The
/// answer comes when it is over: then its link may be crawled again.
#[utoipa::path(
    delete,
    path = "/v1/crawl/{job}",
    tag = "crawl",
    params(("job" = String, Path, format = "uuid", description = "The id that the order was answered with")),
    responses(
        (status = OK, description = "It is over", body = Job),
        (status = NOT_FOUND, description = "It is not remembered any more, or never was", body = Problem,
            content_type = "application/problem+json"),
        (status = CONFLICT, description = "It had ended already", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cancel<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    Segments(text): Segments<String>,
) -> Result<Json<Job>, Problem> {
    let id = Uuid::parse_str(&text).map_err(|_| unknown(&text))?;
    let over = shared.jobs.cancel(id).map_err(|kept| match kept {
        Kept::Unknown => unknown(&text),
        Kept::Over => too_late(id),
    })?;
    let job = over.await.map_err(|_| unknown(&text))?;
    if job.state == JobState::Cancelled {
        Ok(Json(Job::new(id, job)))
    } else {
        Err(too_late(id))
    }
}

/// What the crawl is asked; never a file of this machine, which is the owner's to give.
pub(super) fn what(user: &str, link: &str) -> Result<crawl::Request, Problem> {
    bounded("user", user, USER_LENGTH_MAX)?;
    bounded("link", link, LINK_LENGTH_MAX)?;
    let link = link.trim();
    match Url::parse(link) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(crawl::Request {
            target: link.to_owned(),
            author: user.split_whitespace().collect::<Vec<_>>().join(" "),
            as_kind: None,
            reference: None,
            browser: false,
        }),
        _ => Err(Problem::bad(
            "link: only http and https links are crawled over HTTP; `lockstep crawl` reads files",
        )),
    }
}

fn bounded(name: &str, text: &str, length_max: usize) -> Result<(), Problem> {
    let length = text.chars().count();
    if length > length_max {
        let detail = format!("{name}: it has {length} characters; at most {length_max} are taken");
        return Err(Problem::bad(detail));
    }
    Ok(())
}

/// Why no job was made of it, and when to ask again.
pub(super) fn refusal(refused: Refused) -> Problem {
    match refused {
        Refused::Full => {
            let detail = "as many crawls wait as serve.crawls_waiting_max allows; ask again later";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).again_after(FULL_SECONDS)
        }
        Refused::Stopping => {
            let detail = "the process is stopping and begins no crawl; ask again when it is back";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(FULL_SECONDS)
        }
    }
}

fn unknown(id: &str) -> Problem {
    let detail =
        format!("crawl job {id} is not known here: a restart, or many later ones, forget it");
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn too_late(id: Uuid) -> Problem {
    let detail = format!(
        "crawl job {id} has ended already, and nothing is cancelled; GET /v1/crawl/{id} says how it ended"
    );
    Problem::new(StatusCode::CONFLICT, detail)
}

impl Job {
    fn new(id: Uuid, job: jobs::Job) -> Self {
        let (state, counts, reason) = match job.state {
            JobState::Queued => (Stage::Queued, None, None),
            JobState::Running => (Stage::Running, None, None),
            JobState::Done(counts) => (Stage::Done, Some(counts), None),
            JobState::Failed(why) => (Stage::Failed, None, Some(why)),
            JobState::Cancelled => (Stage::Cancelled, None, None),
        };
        Self {
            id: id.to_string(),
            state,
            user: job.what.author,
            link: job.what.target,
            asked_at: rfc3339(job.asked_ms),
            started_at: job.started_ms.map(rfc3339),
            ended_at: job.ended_ms.map(rfc3339),
            progress: job.progress.map(|progress| Progress {
                stage: progress.stage,
                done: progress.done,
                total: progress.total,
            }),
            counts,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema as _;

    use super::*;

    #[test]
    fn only_links_of_the_web_are_crawled_over_http() {
        assert!(what("Ada", " https://example.org/a ").is_ok());
        for link in [
            "/etc/passwd",
            "file:///etc/passwd",
            "ssh://host/a",
            "book",
            "",
        ] {
            assert!(what("Ada", link).is_err(), "{link}");
        }
    }

    #[test]
    fn a_name_and_a_link_are_taken_up_to_the_lengths_that_are_described() {
        let schema = serde_json::to_value(Order::schema()).unwrap();
        let described = |name: &str| schema["properties"][name]["maxLength"].as_u64().unwrap();
        let of = |length: u64| "å".repeat(usize::try_from(length).unwrap());
        let (user, link) = (described("user"), described("link"));
        assert_eq!((user, link), (256, 8_192));
        let start = "https://example.org/";
        let rest = link - start.len() as u64;
        let longest = format!("{start}{}", of(rest));
        assert!(what(&of(user), &longest).is_ok());
        let told = what(&of(user + 1), &longest).unwrap_err();
        assert!(told.detail().starts_with("user: it has 257"), "{told:?}");
        let told = what("Ada", &format!("{longest}å")).unwrap_err();
        assert!(told.detail().starts_with("link: it has 8193"), "{told:?}");
    }
}
