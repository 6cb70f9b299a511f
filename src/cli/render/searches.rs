//! What a search found, and what a later one may wait for.

use std::fmt::Write as _;

use super::{BOLD, DIM, LINK, Written, excerpt, messages, plain};
use crate::change::Version;
use crate::search::{Answer, Awaited, Hit, Mode};

/// What was found.
pub(super) fn answer(out: &mut String, answer: &Answer) -> Written {
    if answer.hits.is_empty() {
        writeln!(out, "nothing found")?;
    }
    for (hit, number) in answer.hits.iter().zip(1..) {
        if number > 1 {
            writeln!(out)?;
        }
        found(out, (hit, answer.mode), number)?;
    }
    if let Some(note) = &answer.note {
        writeln!(out, "{DIM}note: {}{DIM:#}", plain(note))?;
    }
    match answer.at_least {
        Some(Awaited::NotYet) => writeln!(
            out,
            "{DIM}note: not everything up to that version is searchable yet{DIM:#}"
        )?,
        Some(Awaited::Parked) => writeln!(
            out,
            "{DIM}note: the change of that version is parked; `lockstep parked list` shows why{DIM:#}"
        )?,
        Some(Awaited::Reached) | None => {}
    }
    if let Some(parked) = answer.parked.filter(|parked| *parked > 0) {
        let parked = messages(parked);
        writeln!(out, "{DIM}note: {parked} parked and not searched{DIM:#}")?;
    }
    Ok(())
}

fn found(out: &mut String, (hit, mode): (&Hit, Mode), number: usize) -> Written {
    let title = hit.title.as_deref().or(hit.link.as_deref());
    let title = title.map_or_else(|| plain(&hit.key.to_string()), plain);
    write!(
        out,
        "{number:>2}  {BOLD}{title}{BOLD:#}  {DIM}{} {}",
        plain(&hit.kind),
        score(hit.score, mode)
    )?;
    if let Some(author) = &hit.author {
        write!(out, " by {}", plain(author))?;
    }
    writeln!(out, "{DIM:#}")?;
    if let Some(link) = &hit.link {
        writeln!(out, "    {LINK}{}{LINK:#}", plain(link))?;
    }
    match hit.passages.first() {
        Some(passage) => writeln!(out, "    {}", excerpt(&passage.content)),
        None => Ok(()),
    }
}

/// As many digits as tell two documents apart: places in two lists make small numbers.
fn score(score: f32, mode: Mode) -> String {
    match mode {
        Mode::Hybrid => format!("{score:.4}"),
        Mode::Dense | Mode::Words => format!("{score:.2}"),
    }
}

/// The version of what was written, if nobody waited for it.
pub(super) fn version(out: &mut String, version: Option<Version>) -> Written {
    match version {
        Some(version) => writeln!(
            out,
            "{DIM}searchable soon: `search --at-least {version}` waits for it{DIM:#}"
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::DocumentKey;

    #[test]
    fn what_stands_for_a_title_cannot_steer_the_terminal() {
        let kind = "notes\u{7}";
        let hit = Hit {
            key: DocumentKey::text(kind, "\u{1b}]0;owned"),
            kind: kind.to_owned(),
            score: 1.0,
            title: None,
            link: None,
            author: None,
            passages: Vec::new(),
            version: Version::NONE,
        };
        let mut out = String::new();
        found(&mut out, (&hit, Mode::Dense), 1).unwrap();
        assert!(out.contains("owned"), "{out:?}");
        assert!(
            !out.contains('\u{7}') && !out.contains("\u{1b}]"),
            "{out:?}"
        );
    }
}
