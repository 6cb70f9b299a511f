//! One sentence about a document, with the next step. Pure.

use super::{Explanation, Indexed};
use crate::queue::Parked;

/// Says the first thing that is true, the gravest first.
pub(super) fn verdict(found: &Explanation) -> String {
    let key = &found.key;
    if let Some(parked) = newer(found.parked.as_ref(), found.indexed.as_ref()) {
        let (reason, id) = (&parked.reason, parked.id);
        return format!(
            "{key} is parked after {} attempts: {reason}; run `lockstep parked retry {id}` once the cause is gone",
            parked.attempts
        );
    }
    let held = held(found.indexed.as_ref());
    match (found.in_source, held) {
        (true, Some(indexed)) => in_both(found, indexed),
        (false, None) => in_neither(found),
        (true, None) => unsettled(found, "is in the source and not in the index"),
        (false, Some(_)) => unsettled(found, "is gone from the source and still in the index"),
    }
}

/// The parked change, unless the index has overtaken it.
fn newer<'a>(parked: Option<&'a Parked>, indexed: Option<&Indexed>) -> Option<&'a Parked> {
    let stored = indexed.map(|indexed| indexed.version).unwrap_or_default();
    parked.filter(|parked| parked.version >= stored)
}

fn held(indexed: Option<&Indexed>) -> Option<&Indexed> {
    indexed.filter(|indexed| !indexed.deleted && !indexed.void)
}

fn in_both(found: &Explanation, indexed: &Indexed) -> String {
    let key = &found.key;
    let orphans = found.orphans.unwrap_or(0);
    if let Some(first) = found.differences.first() {
        let what = format!("is indexed, but differs from the source ({})", first.detail);
        return unsettled(found, &what);
    }
    let (version, chunks) = (indexed.version, indexed.chunks);
    if orphans > 0 {
        return format!(
            "{key} is indexed at version {version}, and {orphans} more points wait to be collected; run `lockstep resync {key}` to collect them now"
        );
    }
    if !indexed.current {
        return format!(
            "{key} is indexed at version {version} in {chunks} chunks, by another cleaner, chunker or model; a re-index renews it"
        );
    }
    format!(
        "{key} is indexed at version {version} in {chunks} chunks, as the source has it; nothing to do"
    )
}

fn in_neither(found: &Explanation) -> String {
    let key = &found.key;
    let left = match found.orphans {
        Some(points) if points > 0 => {
            format!("; {points} points of it wait to be collected: run `lockstep resync {key}`")
        }
        _ => "; nothing of it is found".to_owned(),
    };
    match &found.indexed {
        Some(indexed) if indexed.deleted => {
            format!("{key} was deleted at version {}{left}", indexed.version)
        }
        Some(_) => format!("{key} went with its whole type{left}"),
        None => format!("{key} is known neither to the source nor to the index{left}"),
    }
}

/// A difference: either its change is on the way, or it has to be sent again.
fn unsettled(found: &Explanation, what: &str) -> String {
    let key = &found.key;
    let pending = found.queue.live + found.queue.backfill;
    if pending > 0 {
        format!(
            "{key} {what}; {pending} changes wait in the queue, so look again when they are done"
        )
    } else {
        format!("{key} {what}, and no change waits in the queue; run `lockstep resync {key}`")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::change::{DocumentKey, Lane, Place, Time, Version};
    use crate::queue::Depth;
    use crate::verify::{Difference, Kind};

    fn version(sequence: u64) -> Version {
        Version::read(1, Time::from_sequence(sequence))
    }

    fn indexed() -> Indexed {
        Indexed {
            version: version(5),
            committed_ms: 0,
            deleted: false,
            void: false,
            current: true,
            chunks: 3,
            stored: 3,
        }
    }

    /// A document in order.
    fn in_order() -> Explanation {
        Explanation {
            key: DocumentKey::text("posts", "a"),
            in_source: true,
            read_ms: 0,
            queue: Depth::default(),
            parked: None,
            indexed: Some(indexed()),
            orphans: Some(0),
            differences: Vec::new(),
            verdict: String::new(),
        }
    }

    fn said(change: impl FnOnce(&mut Explanation)) -> String {
        let mut found = in_order();
        change(&mut found);
        verdict(&found)
    }

    fn parked(sequence: u64) -> Parked {
        Parked {
            id: Uuid::nil(),
            key: None,
            version: version(sequence),
            operation: None,
            place: Place {
                partition: 0,
                lane: Lane::Live,
            },
            reason: "too large".to_owned(),
            attempts: 5,
            parked_ms: 0,
        }
    }

    #[test]
    fn a_document_in_order_needs_nothing() {
        assert!(said(|_| ()).ends_with("nothing to do"));
        assert!(said(|found| found.orphans = None).ends_with("nothing to do"));
    }

    #[test]
    fn a_parked_change_is_named_with_its_reason_until_it_is_overtaken() {
        let text = said(|found| found.parked = Some(parked(6)));
        assert!(text.contains("too large") && text.contains("lockstep parked retry"));
        assert!(said(|found| found.parked = Some(parked(4))).ends_with("nothing to do"));
    }

    #[test]
    fn a_missing_document_waits_or_is_sent_again() {
        let missing = |found: &mut Explanation| found.indexed = None;
        assert!(said(missing).contains("lockstep resync posts/a"));
        let waits = said(|found| {
            missing(found);
            found.queue.live = 2;
        });
        assert!(waits.contains("2 changes wait in the queue"));
        let void = said(|found| found.indexed.as_mut().unwrap().void = true);
        assert!(void.contains("not in the index"));
    }

    #[test]
    fn a_deleted_an_unknown_and_a_leftover_document_are_told_apart() {
        let deleted = |found: &mut Explanation| {
            found.in_source = false;
            found.indexed.as_mut().unwrap().deleted = true;
        };
        assert!(said(deleted).contains("was deleted at version"));
        let left = said(|found| {
            deleted(found);
            found.orphans = Some(2);
        });
        assert!(left.contains("2 points of it wait"));
        let unknown = said(|found| {
            found.in_source = false;
            found.indexed = None;
        });
        assert!(unknown.contains("neither"));
        assert!(said(|found| found.in_source = false).contains("still in the index"));
    }

    #[test]
    fn what_is_indexed_otherwise_than_the_source_says_is_sent_again() {
        let differs = said(|found| {
            found.differences.push(Difference {
                key: found.key.clone(),
                version: None,
                kind: Kind::Text,
                detail: "the cleaned text differs".to_owned(),
            });
        });
        assert!(differs.contains("text differs") && differs.contains("lockstep resync"));
        assert!(said(|found| found.orphans = Some(1)).contains("1 more points"));
        let old = said(|found| found.indexed.as_mut().unwrap().current = false);
        assert!(old.contains("re-index"));
    }
}
