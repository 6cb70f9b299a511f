//! Vectors in memory, of a bounded size. Pure.

use std::collections::{BTreeMap, HashMap};

use super::Key;

/// Bytes of a vector beside its values: its key, twice, and what the maps need for it.
const ENTRY_BYTES: usize = 160;

/// The least recently used goes first.
#[derive(Debug)]
pub(super) struct Memory {
    bytes_max: usize,
    bytes: usize,
    /// Grows with every use.
    now: u64,
    vectors: HashMap<Key, (u64, Vec<f32>)>,
    by_use: BTreeMap<u64, Key>,
}

fn size(vector: &[f32]) -> usize {
    ENTRY_BYTES + size_of_val(vector)
}

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            bytes: 0,
            now: 0,
            vectors: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// A vector, which is then the most recently used.
    pub(super) fn find(&mut self, key: &Key) -> Option<Vec<f32>> {
        let (used, vector) = self.vectors.get_mut(key)?;
        self.by_use.remove(used);
        self.now += 1;
        *used = self.now;
        self.by_use.insert(self.now, *key);
        Some(vector.clone())
    }

    /// Keeps it, and makes room for it.
    pub(super) fn put(&mut self, key: Key, vector: Vec<f32>) {
        if size(&vector) > self.bytes_max {
            return;
        }
        self.now += 1;
        self.bytes += size(&vector);
        self.by_use.insert(self.now, key);
        if let Some((used, old)) = self.vectors.insert(key, (self.now, vector)) {
            self.by_use.remove(&used);
            self.bytes -= size(&old);
        }
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                return;
            };
            if let Some((_, vector)) = self.vectors.remove(&oldest) {
                self.bytes -= size(&vector);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain list, oldest first, that is cut at its front.
        #[test]
        fn it_holds_the_most_recently_used_that_fit(
            steps in proptest::collection::vec((any::<bool>(), 0_u8..12, 1_usize..40), 1..200),
        ) {
            let bytes_max = 900;
            let mut memory = Memory::new(bytes_max);
            let mut list: Vec<(Key, Vec<f32>)> = Vec::new();
            for (put, number, length) in steps {
                let key = [number; 32];
                let at = list.iter().position(|(known, _)| *known == key);
                let known = at.map(|at| list.remove(at).1);
                if put {
                    let vector = vec![f32::from(number); length];
                    memory.put(key, vector.clone());
                    list.push((key, vector));
                    while list.iter().map(|(_, vector)| size(vector)).sum::<usize>() > bytes_max {
                        list.remove(0);
                    }
                } else {
                    prop_assert_eq!(memory.find(&key), known.clone());
                    list.extend(known.map(|vector| (key, vector)));
                }
                prop_assert!(memory.bytes <= bytes_max);
                prop_assert_eq!(memory.vectors.len(), list.len());
                prop_assert_eq!(memory.by_use.len(), list.len());
            }
        }
    }
}
