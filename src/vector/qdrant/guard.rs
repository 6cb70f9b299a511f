//! Conditions on what is stored. Pure.
//!
//! A server compares numbers as 64-bit floats, into which one packed version would not fit. So what
//! orders two stamps is a list of components of 32 bits, most significant first, each in a field of
//! its own, and "at or below" is a nested filter:
//!
//! ```text
//! a < 1  or  (a = 1  and  (b < 2  or  (b = 2  and  c <= 3)))
//! ```

use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::{Condition, Filter, Range, RepeatedStrings};

use super::payload::{DATED, LABELS};
use crate::change::{DocumentKey, PointId, Version};
use crate::vector::{Only, Stamp, Watermark};

/// Components of a stamp, most significant first, as [`Stamp::words`] gives them.
pub(super) const STAMP: [&str; 6] = [
    VERSION[0],
    VERSION[1],
    VERSION[2],
    VERSION[3],
    "version_revision",
    "version_digest",
];
/// Components of a version: those that a stamp begins with.
pub(super) const VERSION: [&str; 4] = [
    "version_epoch",
    "version_seconds",
    "version_increment",
    "version_order",
];
/// What orders two watermarks: their version, then their time in two halves.
pub(super) const WATERMARK: [&str; 6] = [
    VERSION[0],
    VERSION[1],
    VERSION[2],
    VERSION[3],
    "committed_high",
    "committed_low",
];

/// The type of a document.
pub(super) const KIND: &str = "type";
/// The `_id` as canonical extended JSON.
pub(super) const KEY_ID: &str = "key_id";

/// The components of a version, as [`VERSION`] names them.
pub(super) fn components(version: Version) -> [u32; 4] {
    let Version { epoch, time, order } = version;
    [epoch, time.seconds, time.increment, order]
}

/// The components of a watermark, as [`WATERMARK`] names them.
pub(super) fn watermark_components(mark: Watermark) -> [u32; 6] {
    let [epoch, seconds, increment, order] = components(mark.version);
    let low = u32::try_from(mark.committed_ms & 0xffff_ffff).unwrap_or(u32::MAX);
    let high = u32::try_from(mark.committed_ms >> 32).unwrap_or(u32::MAX);
    [epoch, seconds, increment, order, high, low]
}

/// Whether the stored components are these or lower ones.
pub(super) fn at_or_below(names: &[&str], components: &[u32]) -> Filter {
    debug_assert_eq!(names.len(), components.len(), "a component has a name");
    let mut pairs = names.iter().zip(components).rev();
    let Some((name, last)) = pairs.next() else {
        return Filter::default();
    };
    let innermost = Filter::must([range(name, |range| range.lte = Some(f64::from(*last)))]);
    pairs.fold(innermost, |inner, (name, component)| {
        let below = range(name, |range| range.lt = Some(f64::from(*component)));
        let same = Filter::must([is(name, i64::from(*component)), inner.into()]);
        Filter::should([below, same.into()])
    })
}

/// Whether the stored stamp is this one or a lower one.
pub(super) fn not_newer(stamp: Stamp) -> Filter {
    at_or_below(&STAMP, &stamp.words())
}

/// Whether the stored version is this one or an older one.
pub(super) fn not_above(version: Version) -> Filter {
    at_or_below(&VERSION, &components(version))
}

/// Whether the stored version is exactly this one, whatever else the stamp says.
pub(super) fn of_version(version: Version) -> impl Iterator<Item = Condition> {
    VERSION
        .iter()
        .zip(components(version))
        .map(|(name, component)| is(name, i64::from(component)))
}

/// Whether it belongs to the document.
pub(super) fn of_document(key: &DocumentKey) -> [Condition; 2] {
    [equals(KEY_ID, &key.id), equals(KIND, &key.kind)]
}

/// Whether it is one of these points.
pub(super) fn one_of(ids: impl IntoIterator<Item = PointId>) -> Condition {
    Condition::has_id(ids.into_iter().map(|id| id.0.to_string()))
}

/// A field that is exactly this text. The client's own conversion would search for the words of a text
/// that has several.
pub(super) fn equals(name: &str, text: &str) -> Condition {
    Condition::matches(name, MatchValue::Keyword(text.to_owned()))
}

/// A field that is exactly one of these texts.
pub(super) fn equals_one(name: &str, texts: Vec<String>) -> Condition {
    Condition::matches(
        name,
        MatchValue::Keywords(RepeatedStrings { strings: texts }),
    )
}

/// Whether it is a point that a question is about, its type aside; none for all.
pub(super) fn narrowed(only: &Only) -> Option<Filter> {
    let labels = only.labels.iter().cloned();
    let mut conditions: Vec<_> = labels.map(|labels| equals_one(LABELS, labels)).collect();
    if only.since.is_some() || only.until.is_some() {
        // Seconds are integers below 2^53, as which floats are exact.
        #[expect(
            clippy::cast_precision_loss,
            reason = "no date is 285 million years away"
        )]
        let seconds = |bound: Option<i64>| bound.map(|seconds| seconds as f64);
        conditions.push(range(DATED, |range| {
            (range.gte, range.lte) = (seconds(only.since), seconds(only.until));
        }));
    }
    (!conditions.is_empty()).then(|| Filter::must(conditions))
}

/// A field that is exactly this number.
pub(super) fn is(name: &str, number: i64) -> Condition {
    Condition::matches(name, number)
}

/// A field in a range.
pub(super) fn range(name: &str, set: impl FnOnce(&mut Range)) -> Condition {
    let mut range = Range::default();
    set(&mut range);
    Condition::range(name, range)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qdrant_client::qdrant::condition::ConditionOneOf;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    /// What a server does with the few conditions that are built here.
    fn holds(filter: &Filter, stored: &[u32]) -> bool {
        let one = |condition: &Condition| match condition.condition_one_of.as_ref().unwrap() {
            ConditionOneOf::Filter(inner) => holds(inner, stored),
            ConditionOneOf::Field(field) => {
                let at = NAMES.iter().position(|name| *name == field.key).unwrap();
                let value = f64::from(stored[at]);
                let matched = field.r#match.as_ref().is_none_or(|wanted| {
                    wanted.match_value == Some(MatchValue::Integer(stored[at].into()))
                });
                let in_range = field.range.as_ref().is_none_or(|range| {
                    range.lt.is_none_or(|end| value < end)
                        && range.lte.is_none_or(|end| value <= end)
                });
                matched && in_range
            }
            other => panic!("{other:?} should not be built"),
        };
        filter.must.iter().all(one)
            && (filter.should.is_empty() || filter.should.iter().any(one))
            && !filter.must_not.iter().any(one)
    }

    proptest! {
        /// However many components there are.
        #[test]
        fn at_or_below_is_the_order_of_the_components(
            length in 1_usize..=5,
            stored in prop::array::uniform5(prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()]),
            given in prop::array::uniform5(prop_oneof![Just(0), Just(1), Just(u32::MAX), any::<u32>()]),
        ) {
            let (stored, given) = (&stored[..length], &given[..length]);
            let filter = at_or_below(&NAMES[..length], given);
            prop_assert_eq!(holds(&filter, stored), stored <= given);
        }

        #[test]
        fn the_components_of_a_watermark_order_as_it_does(
            words in any::<[u32; 4]>(),
            (a, b) in any::<(u64, u64)>(),
        ) {
            let [epoch, seconds, increment, order] = words;
            let time = crate::change::Time { seconds, increment };
            let version = Version { epoch, time, order };
            let [a, b] = [a, b].map(|committed_ms| Watermark { version, committed_ms });
            let (first, second) = (watermark_components(a), watermark_components(b));
            prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        }
    }

    #[test]
    fn a_text_of_several_words_is_compared_as_a_whole() {
        let condition = equals("key_id", "\"two words\"");
        let Some(ConditionOneOf::Field(field)) = condition.condition_one_of else {
            panic!("a condition on a field");
        };
        let wanted = MatchValue::Keyword("\"two words\"".to_owned());
        assert_eq!(field.r#match.unwrap().match_value, Some(wanted));
    }
}
