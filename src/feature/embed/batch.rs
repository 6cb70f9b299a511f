//! Which texts are computed together.
//!
//! ```text
//! sizes of a call's texts ──longest first──> batches of near sizes ──> workers
//! ```
//!
//! A batch is padded to its longest text, so that texts of near sizes belong together. It is kept
//! small, since its intermediate values then stay in a core's own cache and the workers of a small
//! call all get something to do. The longest go first, so that the last batch to end is a short one.

/// Texts a batch at most.
const BATCH_TEXTS_MAX: usize = 32;

/// Bytes a batch at most, each text counted as the longest of its batch; about 500 word pieces of
/// English. One text alone may have more.
const BATCH_BYTES_MAX: usize = 2048;

/// A batch for each text.
pub(crate) fn singles(sizes: &[usize]) -> Vec<Vec<usize>> {
    longest_first(sizes)
        .into_iter()
        .map(|index| vec![index])
        .collect()
}

fn longest_first(sizes: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(sizes[*index]));
    order
}

/// Splits texts of these sizes, in bytes, into batches of their indices.
pub(crate) fn batches(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for index in longest_first(sizes) {
        match batches.last_mut() {
            Some(batch) if batch.len() < room => batch.push(index),
            _ => {
                batches.push(vec![index]);
                room = (BATCH_BYTES_MAX / sizes[index].max(1)).clamp(1, BATCH_TEXTS_MAX);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_and_no_batch_is_too_large(sizes in proptest::collection::vec(0_usize..5000, 0..200)) {
            let batches = batches(&sizes);
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..sizes.len()).collect::<Vec<_>>());
            for batch in batches {
                let longest = batch.iter().map(|index| sizes[*index]).max().unwrap_or(0);
                prop_assert!(batch.len() <= BATCH_TEXTS_MAX);
                prop_assert!(batch.len() == 1 || batch.len() * longest <= BATCH_BYTES_MAX);
            }
        }
    }

    #[test]
    fn texts_of_near_sizes_are_together_and_the_longest_come_first() {
        assert_eq!(batches(&[10, 1000, 12, 900]), [vec![1, 3], vec![2, 0]]);
    }
}
