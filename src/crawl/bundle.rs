//! Files of one repository gathered into documents of bounded size, in the order of paths. Pure.

use serde_json::Value;

use crate::document::Part;

/// What a stored field costs besides its name and text.
const FIELD_BYTES: usize = 16;
/// What the language of a file costs besides its path.
const LANGUAGE_BYTES: usize = 32;

/// Gathers files until a part is full.
#[derive(Debug)]
pub(crate) struct Bundle {
    limit: usize,
    bytes: usize,
    part: Part,
}

impl Bundle {
    /// Parts of at most `limit` bytes of paths and texts; a single larger file is a part alone.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            bytes: 0,
            part: Part::default(),
        }
    }

    /// Adds a file; returns the part before it when that is full.
    pub(crate) fn add(&mut self, path: String, text: String) -> Option<Part> {
        let bytes = 2 * path.len() + text.len() + FIELD_BYTES + LANGUAGE_BYTES;
        let full = !self.part.files.is_empty() && self.bytes + bytes > self.limit;
        let done = full.then(|| {
            self.bytes = 0;
            let next = Part {
                number: self.part.number + 1,
                ..Part::default()
            };
            std::mem::replace(&mut self.part, next)
        });
        self.bytes += bytes;
        self.part.files.insert(path, Value::from(text));
        done
    }

    /// The last part, unless nothing was ever added.
    pub(crate) fn finish(self) -> Option<Part> {
        (!self.part.files.is_empty()).then_some(self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_repository_is_split_by_path_order_and_no_part_is_over_the_limit() {
        let mut bundle = Bundle::new(270);
        let mut parts = Vec::new();
        for number in 0..10 {
            parts.extend(bundle.add(format!("{number}.rs"), "x".repeat(60)));
        }
        parts.extend(bundle.finish());
        let sizes: Vec<_> = parts
            .iter()
            .map(|part| (part.number, part.files.len()))
            .collect();
        assert_eq!(sizes, [(0, 2), (1, 2), (2, 2), (3, 2), (4, 2)]);
        assert!(parts[1].files.contains_key("2.rs") && parts[1].files.contains_key("3.rs"));
    }

    #[test]
    fn nothing_makes_no_part() {
        assert_eq!(Bundle::new(200).finish(), None);
    }
}
