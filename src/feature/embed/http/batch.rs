//! Which texts go into one request. Pure.

use std::ops::Range;

/// What one request may carry; a single text may be over the tokens and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Texts.
    pub texts_max: usize,
    /// Tokens of all texts.
    pub tokens_max: usize,
    /// Bytes of all texts.
    pub bytes_max: usize,
}

/// How large a text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) tokens: usize,
    pub(super) bytes: usize,
}

/// Splits texts of these sizes into runs that fit; texts stay in their order.
pub(super) fn batches(sizes: &[Size], limits: BatchLimits) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut filled = Size::default();
    for (index, size) in sizes.iter().enumerate() {
        let next = Size {
            tokens: filled.tokens.saturating_add(size.tokens),
            bytes: filled.bytes.saturating_add(size.bytes),
        };
        match batches.last_mut() {
            Some(batch)
                if batch.len() < limits.texts_max
                    && next.tokens <= limits.tokens_max
                    && next.bytes <= limits.bytes_max =>
            {
                batch.end = index + 1;
                filled = next;
            }
            _ => {
                batches.push(index..index + 1);
                filled = *size;
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
        fn every_text_is_in_one_batch_in_order_and_no_batch_is_too_large(
            sizes in proptest::collection::vec((0_usize..50, 0_usize..300), 0..100),
            (texts_max, tokens_max, bytes_max) in (1_usize..9, 1_usize..120, 1_usize..900),
        ) {
            let limits = BatchLimits { texts_max, tokens_max, bytes_max };
            let sizes: Vec<Size> = sizes
                .into_iter()
                .map(|(tokens, bytes)| Size { tokens, bytes })
                .collect();
            let batches = batches(&sizes, limits);
            prop_assert_eq!(
                batches.iter().cloned().flatten().collect::<Vec<_>>(),
                (0..sizes.len()).collect::<Vec<_>>()
            );
            for batch in batches {
                let batch = &sizes[batch];
                prop_assert!(batch.len() <= texts_max);
                let tokens: usize = batch.iter().map(|size| size.tokens).sum();
                let bytes: usize = batch.iter().map(|size| size.bytes).sum();
                prop_assert!(batch.len() == 1 || tokens <= tokens_max && bytes <= bytes_max);
            }
        }
    }
}
