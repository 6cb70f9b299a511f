//! Which runs of a page are its main text, given what an extractor kept of each. Pure.
//!
//! The extractor decides where the article is; these rules mend what is known to go wrong at its edges:
//! the headline is stored as the title, lines that are nothing but a link lead elsewhere, and headings,
//! code and quotes between kept paragraphs belong to them, as do paragraphs set in the article's own style.

use std::collections::HashMap;

use super::runs::{Kind, Run};

/// Of a run's letters, the share that must have been kept: half of it is most of it.
const KEPT_SHARE: f64 = 0.5;
/// Of a run's letters, the share in links that makes it a link and no sentence.
const LINK_SHARE: f64 = 0.8;
/// Of the article's letters, the share that may be taken away as links: beyond it the links are the article.
const LINKS_SHARE_MAX: f64 = 0.3;
/// Of the article's letters, the share that may stand above its headline.
const ABOVE_SHARE_MAX: f64 = 0.3;

/// Letters from which on a run is a paragraph, not a label.
const PARAGRAPH_LETTERS: usize = 80;
/// Of a paragraph's letters, the share in links that it may have.
const PARAGRAPH_LINK_SHARE: f64 = 0.5;
/// Kept paragraphs of one style, and their share of the article's letters, that make it the article's own.
const STYLE_PARAGRAPHS: usize = 3;
const STYLE_SHARE: f64 = 0.3;

/// Says of each run whether it is main text. `titles` are the page's names for itself.
pub(super) fn choose(runs: &[Run], titles: &[&str]) -> Vec<bool> {
    let mut keep: Vec<bool> = runs
        .iter()
        .map(|run| run.kept > 0 && share(run.kept, run.letters) >= KEPT_SHARE)
        .collect();
    start_below_the_headline(runs, titles, &mut keep);
    rejoin_siblings(runs, &mut keep);
    rejoin_what_belongs(runs, &mut keep);
    drop_lone_links(runs, &mut keep);
    drop_headings_of_nothing(runs, &mut keep);
    keep
}

fn start_below_the_headline(runs: &[Run], titles: &[&str], keep: &mut [bool]) {
    let all = letters(runs, keep);
    let mut above = 0;
    for (at, run) in runs.iter().enumerate() {
        if !keep.get(at).copied().unwrap_or_default() {
            continue;
        }
        if share(above, all) > ABOVE_SHARE_MAX {
            return;
        }
        let headline =
            run.kind == Kind::Heading(1) || titles.iter().any(|title| *title == run.text);
        if headline {
            for keep in keep.iter_mut().take(at + 1) {
                *keep = false;
            }
            return;
        }
        above += run.letters;
    }
}

/// Keeps every paragraph that is set in the style of the article: a page may hold it in several parts.
fn rejoin_siblings(runs: &[Run], keep: &mut [bool]) {
    let is_paragraph = |run: &Run| {
        run.kind == Kind::Text
            && run.letters >= PARAGRAPH_LETTERS
            && share(run.linked, run.letters) < PARAGRAPH_LINK_SHARE
    };
    let all = letters(runs, keep);
    let mut styles: HashMap<&str, (usize, usize)> = HashMap::new();
    for (run, keep) in runs.iter().zip(keep.iter()) {
        if *keep && is_paragraph(run) {
            let (paragraphs, letters) = styles.entry(&run.style).or_default();
            *paragraphs += 1;
            *letters += run.letters;
        }
    }
    for (run, keep) in runs.iter().zip(keep) {
        let (paragraphs, letters) = styles.get(&*run.style).copied().unwrap_or_default();
        let own = paragraphs >= STYLE_PARAGRAPHS && share(letters, all) >= STYLE_SHARE;
        *keep |= own && is_paragraph(run);
    }
}

/// Keeps headings above kept text, and code and quotes between kept texts.
fn rejoin_what_belongs(runs: &[Run], keep: &mut [bool]) {
    let first = keep.iter().position(|keep| *keep);
    let last = keep.iter().rposition(|keep| *keep);
    let (Some(first), Some(last)) = (first, last) else {
        return;
    };
    let mut leads_to_kept = true;
    for at in (first..last).rev() {
        let (Some(run), Some(keep)) = (runs.get(at), keep.get_mut(at)) else {
            continue;
        };
        *keep |= match run.kind {
            Kind::Code => true,
            Kind::Heading(_) | Kind::Quote => leads_to_kept,
            _ => false,
        };
        leads_to_kept = *keep;
    }
}

fn drop_lone_links(runs: &[Run], keep: &mut [bool]) {
    let lone: Vec<usize> = (0..runs.len())
        .filter(|at| keep.get(*at).copied().unwrap_or_default())
        .filter(|at| {
            runs.get(*at).is_some_and(|run| {
                matches!(run.kind, Kind::Text | Kind::Item)
                    && share(run.linked, run.letters) >= LINK_SHARE
            })
        })
        .collect();
    let linked: usize = lone
        .iter()
        .filter_map(|at| runs.get(*at))
        .map(|run| run.letters)
        .sum();
    if share(linked, letters(runs, keep)) > LINKS_SHARE_MAX {
        return;
    }
    for at in lone {
        if let Some(keep) = keep.get_mut(at) {
            *keep = false;
        }
    }
}

/// Headings at the end have nothing below them.
fn drop_headings_of_nothing(runs: &[Run], keep: &mut [bool]) {
    for (run, keep) in runs.iter().zip(keep.iter_mut()).rev() {
        match run.kind {
            Kind::Heading(_) => *keep = false,
            _ if *keep => return,
            _ => {}
        }
    }
}

fn letters(runs: &[Run], keep: &[bool]) -> usize {
    let kept = runs.iter().zip(keep).filter(|(_, keep)| **keep);
    kept.map(|(run, _)| run.letters).sum()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a page has far fewer than 2^52 letters"
)]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 200;

    /// A run that was kept whole or not at all.
    fn run(kind: Kind, letters: usize, kept: bool) -> Run {
        Run {
            kind,
            text: "text".to_owned(),
            style: "p. main.".to_owned(),
            letters,
            linked: 0,
            kept: if kept { letters } else { 0 },
            first: 0,
            end: 0,
        }
    }

    fn text(kept: bool) -> Run {
        run(Kind::Text, LONG, kept)
    }

    fn aside(kept: bool) -> Run {
        let style = "p. aside.".to_owned();
        Run {
            style,
            ..text(kept)
        }
    }

    fn link(kept: bool) -> Run {
        let base = run(Kind::Text, 40, kept);
        Run { linked: 40, ..base }
    }

    #[test]
    fn a_run_is_kept_as_most_of_it_was() {
        let part = |kept| Run {
            kept,
            ..aside(false)
        };
        assert_eq!(
            choose(&[part(90), part(110), aside(true)], &[]),
            [false, true, true]
        );
    }

    #[test]
    fn the_headline_and_what_is_above_it_is_not_the_text() {
        let headline = run(Kind::Heading(1), 20, true);
        let named = Run {
            text: "The Title".to_owned(),
            ..run(Kind::Text, 20, true)
        };
        let label = run(Kind::Text, 10, true);
        for headline in [headline, named] {
            let runs = [label.clone(), headline, text(true)];
            assert_eq!(choose(&runs, &["The Title"]), [false, false, true]);
        }
    }

    #[test]
    fn a_heading_of_the_first_level_within_the_text_is_one_of_its_headings() {
        let runs = [text(true), run(Kind::Heading(1), 20, true), text(true)];
        assert_eq!(choose(&runs, &[]), [true, true, true]);
    }

    #[test]
    fn headings_code_and_quotes_between_kept_texts_stay_and_headings_of_nothing_go() {
        let heading = || run(Kind::Heading(2), 20, false);
        let runs = [
            heading(),
            aside(true),
            heading(),
            aside(false),
            heading(),
            run(Kind::Code, 50, false),
            run(Kind::Quote, 50, false),
            aside(true),
            run(Kind::Heading(2), 20, true),
        ];
        let keep = [false, true, false, false, true, true, true, true, false];
        assert_eq!(choose(&runs, &[]), keep);
    }

    #[test]
    fn paragraphs_in_the_articles_own_style_are_its_paragraphs() {
        let article = [text(true), text(true), text(true)];
        let mut runs = vec![text(false)];
        runs.extend(article);
        runs.extend([aside(false), text(false), run(Kind::Text, 20, false)]);
        assert_eq!(
            choose(&runs, &[]),
            [true, true, true, true, false, true, false]
        );
        let few = [text(true), text(true), text(false)];
        assert_eq!(choose(&few, &[]), [true, true, false]);
    }

    #[test]
    fn lines_that_are_links_go_unless_they_are_the_article() {
        assert_eq!(
            choose(&[aside(true), link(true), aside(true)], &[]),
            [true, false, true]
        );
        let list = [link(true), link(true), run(Kind::Text, 40, true)];
        assert_eq!(choose(&list, &[]), [true, true, true]);
    }

    #[test]
    fn nothing_kept_is_no_text() {
        assert_eq!(choose(&[], &[]), [false; 0]);
        assert_eq!(choose(&[text(false), aside(false)], &[]), [false, false]);
    }
}
