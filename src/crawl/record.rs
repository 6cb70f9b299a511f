//! One crawl of a link at a time, and how it went.
//!
//! ```text
//! link ──claim──> begun ──crawl──> ended: counts, error, next
//!           └─ somebody else's: a person waits for a while, the schedule comes again
//! ```

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::bring::brought;
use super::place::placed;
use super::{Kind, Progress, Report, Request, Settings, settled};
use crate::logbook::{Counts, Logbook, Run, Runs};
use crate::source::Source;
use crate::{Error, Recovery, Result};

/// How long a claim outlives a process that died.
const CLAIM_MS: u64 = 30_000;
/// Between two questions for a claim that another process has: one that died has it no longer soon.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// When a link is crawled again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// The name of the link where it names nothing now.
    pub(crate) link: String,
    pub(crate) every_seconds: u64,
    /// When the next crawl is due after this one.
    pub(crate) next_ms: u64,
}

/// Crawls, alone, and records it. None where the schedule was kept by another process meanwhile.
pub(crate) async fn crawl<S: Source + Logbook>(
    source: &S,
    (request, again): (&Request, Option<&Repeat>),
    settings: &Settings,
    progress: &impl Progress,
) -> Result<Option<Report>> {
    let manners = &settings.manners;
    let (link, looks) = match placed(request).await {
        Ok((target, link)) => (link, target.kind()),
        Err(error) => {
            // A link that is watched has to show what is wrong with it.
            if let Some(Repeat { link, .. }) = again {
                let run = begun(source, link, (request, again), settings).await?;
                ended(source, run, (&Err(&error), None), settings).await?;
            }
            return Err(error);
        }
    };
    let underway = || Error::Fetch {
        link: link.clone(),
        why: "it is being crawled at this moment: ask again when that is done".to_owned(),
    };
    let patience = match again {
        // The schedule comes again.
        Some(_) => Duration::ZERO,
        None => Duration::from_millis(CLAIM_MS) + ASK_AGAIN,
    };
    let alone = timeout(patience, manners.begin_next(&link)).await;
    let _alone = alone.map_err(|_| underway())?;
    // The claim of a crawl that was cut off goes on for all of its time after that.
    let until = Instant::now() + patience;
    if !claimed_within(until, source, &link, settings).await? {
        return Err(underway());
    }
    let known = source.runs(Runs::Of(link.clone()), 1).await?.pop();
    let now_ms = manners.clock().now_ms();
    let done = if is_kept(known.as_ref(), again, now_ms) {
        Ok(None)
    } else {
        let read_as = settled::kind(source, request, (&link, looks), known.as_ref()).await?;
        let settled = Request {
            as_kind: read_as.clone().or_else(|| request.as_kind.clone()),
            ..request.clone()
        };
        let run = begun(source, &link, (request, again), settings).await?;
        let crawled = tokio::select! {
            biased;
            crawled = Box::pin(brought(source, &settled, settings, progress)) => crawled,
            error = kept(source, &link, settings) => Err(error),
        };
        ended(source, run, (&crawled.as_ref(), read_as), settings).await?;
        crawled.map(Some)
    };
    let now_ms = manners.clock().now_ms();
    source.claim(&link, manners.owner(), (now_ms, 0)).await?;
    done
}

/// Whether the crawl that was due has been done while we waited for the claim.
fn is_kept(known: Option<&Run>, again: Option<&Repeat>, now_ms: u64) -> bool {
    let (Some(run), Some(again)) = (known, again) else {
        return false;
    };
    run.every_seconds == Some(again.every_seconds) && run.next_ms.is_some_and(|next| next > now_ms)
}

async fn claimed<S: Logbook>(source: &S, link: &str, settings: &Settings) -> Result<bool> {
    let manners = &settings.manners;
    let now_ms = manners.clock().now_ms();
    let until_ms = now_ms.saturating_add(CLAIM_MS);
    source
        .claim(link, manners.owner(), (now_ms, until_ms))
        .await
}

/// Claims the link, or waits whether another process that had it has died.
async fn claimed_within<S: Logbook>(
    until: Instant,
    source: &S,
    link: &str,
    settings: &Settings,
) -> Result<bool> {
    while !claimed(source, link, settings).await? {
        if Instant::now() >= until {
            return Ok(false);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    Ok(true)
}

/// Keeps the claim; ends only when it is lost.
async fn kept<S: Logbook>(source: &S, link: &str, settings: &Settings) -> Error {
    loop {
        tokio::time::sleep(Duration::from_millis(CLAIM_MS / 3)).await;
        match claimed(source, link, settings).await {
            Ok(true) => {}
            Ok(false) => return Error::Fenced { what: "the crawl" },
            Err(error) if matches!(error.recovery(), Recovery::Retry(_)) => {
                tracing::warn!(error = %error.chain(), "a crawl's claim is not renewed yet");
            }
            Err(error) => return error,
        }
    }
}

/// What was known of the link, and that it is crawled from now on.
async fn begun<S: Logbook>(
    source: &S,
    link: &str,
    (request, again): (&Request, Option<&Repeat>),
    settings: &Settings,
) -> Result<Run> {
    let known = source.runs(Runs::Of(link.to_owned()), 1).await?.pop();
    let mut run = known.unwrap_or_default();
    link.clone_into(&mut run.link);
    run.request = request.clone();
    run.begins(settings.manners.clock().now_ms());
    source.save_run(run.clone()).await?;
    if let Some(again) = again {
        // Saved when it has ended: after a crash it is still due.
        run.every_seconds = Some(again.every_seconds);
        run.next_ms = Some(again.next_ms);
    }
    Ok(run)
}

async fn ended<S: Logbook>(
    source: &S,
    mut run: Run,
    (crawled, read_as): (&Result<&Report, &Error>, Option<Kind>),
    settings: &Settings,
) -> Result<()> {
    let later_ms = match crawled {
        Ok(report) => {
            run.counts = Counts::of(report);
            run.error = report
                .skipped
                .first()
                .map(|one| format!("{}: {}", one.what, one.why));
            run.has_failed = report.is_failure();
            // One that gave nothing may not be there at all, and looks like anything.
            if !report.keys.is_empty() {
                run.read_as = read_as.or(run.read_as);
            }
            report.later_ms
        }
        Err(error) => {
            run.counts = Counts {
                failed: 1,
                ..Counts::default()
            };
            run.error = Some(error.chain());
            run.has_failed = true;
            match error {
                Error::Later { until_ms, .. } => Some(*until_ms),
                _ => None,
            }
        }
    };
    run.next_ms = run
        .next_ms
        .map(|next| next.max(later_ms.unwrap_or_default()));
    run.ends(settings.manners.clock().now_ms());
    source.save_run(run).await
}
