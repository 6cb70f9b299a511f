//! Answers as text for people, and as JSON.

mod authors;
mod crawls;
mod doctor;
mod migrations;
mod reports;
mod searches;
mod services;
mod settings;
mod tokens;

pub(super) use doctor::diagnosis;
pub(super) use migrations::{backed_up, migrated, restored};
pub(super) use services::stance;
pub(super) use settings::{faults, settings};
pub(super) use tokens::{created, tokens};

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::command::{ParkedList, ParkedMessage, Response, Status};
use crate::moment::readable;
use crate::simulate::Outcome;
use crate::{Error, Result, crawl};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const LINK: Style = AnsiColor::Cyan.on_default();
/// Characters of a passage that are shown: four lines of a narrow terminal.
const EXCERPT_MAX: usize = 320;
/// What a crawl left out that is told one by one.
const SKIPPED_SHOWN: usize = 10;

/// The answer without its command's name, as people's programs read it.
pub(super) fn json(response: &Response) -> Result<String> {
    let whole = serde_json::to_value(response).map_err(unspeakable)?;
    let inner = whole.as_object().and_then(|fields| fields.values().next());
    pretty(inner.unwrap_or(&whole))
}

/// JSON for programs that people may read too.
pub(super) fn pretty(answer: &impl serde::Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(answer).map_err(unspeakable)?;
    text.push('\n');
    Ok(text)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn unspeakable(error: serde_json::Error) -> Error {
    Error::malformed("the answer", error.to_string())
}

/// The answer for people.
pub(super) fn text(response: &Response) -> String {
    let mut out = String::new();
    let written = match response {
        Response::Crawl(report) => crawl(&mut out, report),
        Response::CrawlList(list) => crawls::history(&mut out, list),
        // These answer the lines of a list, which tells of them itself.
        Response::LinksStart(_) | Response::LinksEnd {} => Ok(()),
        Response::CrawlLink(linked) => crawl(&mut out, &linked.report),
        Response::Search(answer) => searches::answer(&mut out, answer),
        Response::Delete(deleted) => deleted
            .documents
            .iter()
            .try_for_each(|document| writeln!(out, "deleted {}", plain(document)))
            .and_then(|()| searches::version(&mut out, deleted.version)),
        Response::Status(now) => status(&mut out, now),
        Response::ParkedList(list) => parked_list(&mut out, list),
        Response::ParkedShow(message) => parked_message(&mut out, message),
        Response::ParkedRetry(retried) => {
            let unreadable = match retried.unreadable {
                0 => String::new(),
                count => format!(
                    "; {count} cannot be read again: they name no document, or have no version"
                ),
            };
            writeln!(
                out,
                "{} read again and sent{unreadable}",
                documents(retried.documents)
            )
        }
        Response::ParkedDrop(dropped) => writeln!(out, "{} dropped", messages(dropped.messages)),
        Response::AuthorList(list) => authors::list(&mut out, list),
        Response::AuthorRename(renamed) => authors::renamed(&mut out, renamed),
        Response::AuthorDelete(deleted) => authors::deleted(&mut out, deleted),
        Response::Explain(explanation) => reports::explanation(&mut out, explanation),
        Response::Verify(report) => reports::verification(&mut out, report),
        Response::Resync(resynced) => match resynced.documents {
            Some(count) => writeln!(out, "{} read again and sent", documents(count)),
            None => writeln!(out, "the whole type is read again and sent"),
        },
        Response::Reindex(reindexed) => reports::reindexed(&mut out, reindexed),
    };
    written.expect("text should be written: a string takes everything");
    out
}

/// What a simulation found.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let Outcome {
        seed,
        steps,
        edits,
        crashes,
        generations,
        generations_filling,
        broken,
    } = outcome;
    let verdict = match broken {
        None => "every promise held".to_owned(),
        Some(broken) => format!("{BOLD}broken:{BOLD:#} {broken}"),
    };
    let what = format!(
        "{edits} edits, {crashes} crashes, {generations} changes of the partition count, \
         {generations_filling} of them during a re-index"
    );
    format!("seed {seed}, {steps} steps, {what}: {verdict}\n")
}

/// Without control characters: what others wrote must not steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

type Written = std::fmt::Result;

fn crawl(out: &mut String, report: &crawl::Report) -> Written {
    let crawl::Report {
        saved,
        unchanged,
        deleted,
        skipped,
        ..
    } = report;
    writeln!(
        out,
        "{saved} saved, {unchanged} unchanged, {deleted} deleted"
    )?;
    searches::version(out, report.version)?;
    let left_out: usize = skipped.iter().map(|one| one.count).sum();
    if left_out > 0 {
        writeln!(out, "{left_out} left out:")?;
    }
    for one in skipped.iter().take(SKIPPED_SHOWN) {
        let what = plain(&one.what);
        write!(out, "  {LINK}{what}{LINK:#}")?;
        if one.count > 1 {
            write!(out, " and {} more", one.count - 1)?;
        }
        writeln!(out, ": {}", plain(&one.why))?;
    }
    match skipped.len().saturating_sub(SKIPPED_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} other reasons, which --json lists"),
    }
}

/// The beginning of a text in one line.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = plain(&line);
    match line.char_indices().nth(EXCERPT_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn status(out: &mut String, now: &Status) -> Written {
    if let Some(services) = &now.services {
        services::services(out, services)?;
        if now.model.is_empty() {
            // Nobody could say how the index stands: a fault says why.
            return Ok(());
        }
    }
    let kinds: Vec<String> = now
        .documents
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let stored = if kinds.is_empty() {
        "none".to_owned()
    } else {
        kinds.join(", ")
    };
    let more = if now.pending.logged_more {
        " or more"
    } else {
        ""
    };
    let pending = format!(
        "{}{more} ({} in the log, {} in the queue), {:.1} s behind",
        now.pending.changes(),
        now.pending.logged,
        now.pending.queued,
        now.lag_seconds
    );
    let index = format!(
        "{}, {} points, {} tombstones",
        documents(now.indexed),
        now.points,
        now.tombstones
    );
    let counted = now.counted;
    let embedded = format!(
        "{} texts since the start, {} known from before, {} kept as they were{}",
        counted.texts_embedded,
        counted.texts_cached,
        counted.texts_kept,
        match counted.model_requests {
            0 => String::new(),
            requests => format!("; {requests} requests, {} tokens", counted.model_tokens),
        }
    );
    let address = now
        .address
        .clone()
        .unwrap_or_else(|| "no process runs".into());
    let mut rows = vec![
        ("data", now.data.clone()),
        ("address", address),
        ("model", now.model.clone()),
        ("documents", stored),
        ("index", index),
        ("edition", reports::edition(&now.index)),
        ("pending", pending),
        ("parked", now.parked.to_string()),
        ("embedded", embedded),
        ("version", now.version.clone()),
    ];
    let note = now.index.note.clone();
    rows.extend(note.map(|note| ("note", note)));
    let filling = now.reindex.as_ref().map(reports::under_way);
    rows.extend(filling.map(|filling| ("reindex", filling)));
    rows.iter()
        .try_for_each(|(name, value)| writeln!(out, "{DIM}{name:<10}{DIM:#}{}", plain(value)))
}

fn parked_list(out: &mut String, list: &ParkedList) -> Written {
    if list.messages.is_empty() {
        writeln!(out, "nothing is parked")?;
    }
    for message in &list.messages {
        let id = message.message.id.to_string();
        let document = message.document.as_deref().unwrap_or("unreadable");
        let reason = excerpt(&message.message.reason);
        writeln!(
            out,
            "{BOLD}{id}{BOLD:#}  {LINK}{}{LINK:#}  {reason}",
            plain(document)
        )?;
    }
    if list.more {
        writeln!(out, "and more")?;
    }
    Ok(())
}

fn parked_message(out: &mut String, parked: &ParkedMessage) -> Written {
    let message = &parked.message;
    let operation = message
        .operation
        .map(|operation| format!("{operation:?}").to_lowercase());
    let version = message
        .version
        .is_some()
        .then(|| message.version.to_string());
    let rows = [
        ("id", message.id.to_string()),
        (
            "document",
            parked
                .document
                .clone()
                .unwrap_or_else(|| "unreadable".into()),
        ),
        ("operation", operation.unwrap_or_else(|| "unknown".into())),
        ("version", version.unwrap_or_else(|| "none".into())),
        ("reason", message.reason.clone()),
        ("attempts", message.attempts.to_string()),
        ("parked", readable(message.parked_ms)),
        ("partition", message.place.partition.to_string()),
    ];
    rows.iter()
        .try_for_each(|(name, value)| writeln!(out, "{DIM}{name:<10}{DIM:#}{}", plain(value)))
}

fn documents(count: u64) -> String {
    format!(
        "{count} {}",
        if count == 1 { "document" } else { "documents" }
    )
}

fn messages(count: u64) -> String {
    format!(
        "{count} {}",
        if count == 1 { "message" } else { "messages" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Lane, Place, Version};
    use crate::command::Deleted;
    use crate::queue::Parked;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        let deleted = Deleted {
            documents: vec!["posts/\u{1b}]0;owned\u{7}".into()],
            version: None,
        };
        let text = text(&Response::Delete(deleted));
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    }

    #[test]
    fn json_is_the_answer_alone() {
        let deleted = Deleted {
            documents: vec!["posts/1".into()],
            version: None,
        };
        let text = json(&Response::Delete(deleted)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, serde_json::json!({"documents": ["posts/1"]}));
    }

    #[test]
    fn a_parked_message_says_when_it_was_set_aside_as_people_read_it_and_no_version_that_it_has_not()
     {
        let message = Parked {
            id: uuid::Uuid::nil(),
            key: None,
            version: Version::NONE,
            operation: None,
            place: Place {
                partition: 0,
                lane: Lane::Live,
            },
            reason: "it is no message".into(),
            attempts: 1,
            parked_ms: 951_827_696_789,
        };
        let text = text(&Response::ParkedShow(Box::new(ParkedMessage {
            document: None,
            message,
        })));
        assert!(text.contains("2000-02-29 12:34:56 UTC"), "{text}");
        assert!(text.contains("none") && !text.contains("0.0.0.0"), "{text}");
    }

    #[test]
    fn a_long_passage_is_cut_between_characters() {
        let cut = excerpt(&"ü ".repeat(EXCERPT_MAX));
        assert_eq!(cut.chars().count(), EXCERPT_MAX + 1);
    }
}
