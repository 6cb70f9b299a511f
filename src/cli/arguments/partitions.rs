//! Partitions of a worker, given by hand.

use std::collections::BTreeSet;

/// As many as the settings allow a queue.
const PARTITIONS_MAX: u32 = 256;

/// Partitions given by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partitions(pub(crate) BTreeSet<u32>);

/// Reads `0-3,8`; whether the queue has them is seen when it is opened.
pub(super) fn read(list: &str) -> std::result::Result<Partitions, String> {
    let number = |text: &str| {
        let number = text.trim().parse::<u32>();
        number.map_err(|_| format!("{text:?} is no partition: give numbers and ranges, as 0-3,8"))
    };
    let mut partitions = BTreeSet::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = (number(from)?, number(to)?);
        if from > to || to >= PARTITIONS_MAX {
            return Err(format!(
                "{part:?} is no range of partitions, which go up to {}",
                PARTITIONS_MAX - 1
            ));
        }
        partitions.extend(from..=to);
    }
    Ok(Partitions(partitions))
}

#[cfg(test)]
mod tests {
    #[test]
    fn partitions_are_numbers_and_ranges() {
        let read = |list| super::read(list).map(|list| list.0.into_iter().collect::<Vec<_>>());
        assert_eq!(read("0-3,8"), Ok(vec![0, 1, 2, 3, 8]));
        assert_eq!(read("5"), Ok(vec![5]));
        for wrong in ["", "3-1", "a", "1-", "0-4294967295", "256"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
