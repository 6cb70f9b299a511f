//! A document that only the index has, cut once more from what was cleaned before. Pure.

use super::Types;
use crate::Result;
use crate::feature::chunk::chunk;
use crate::feature::clean::Section;
use crate::feature::prepare::{Limits, Prepared};
use crate::feature::spec::Form;
use crate::vector::Manifest;

impl Types {
    /// What the index must hold for the document of this manifest, whose points have the texts `chunks` now.
    ///
    /// Its cleaned text is cut as a whole. That of files does not say where one ends: their chunks stay as they
    /// are, and one over the limit is cut by itself.
    ///
    /// # Errors
    /// [`crate::Error::Config`] where the limits cannot be.
    pub(crate) fn cut_again(
        &self,
        manifest: Manifest,
        chunks: Vec<String>,
        limits: Limits,
        count: &impl Fn(&str) -> usize,
    ) -> Result<Prepared> {
        let form = self.of(&manifest.key.kind).form;
        let chunks = if form == Form::Files {
            within(chunks, limits, count)?
        } else {
            cut(manifest.text.clone(), form == Form::Code, limits, count)?
        };
        Ok(Prepared {
            metadata: manifest.metadata,
            text: manifest.text,
            chunks,
        })
    }
}

/// The same chunks, parts of those that are over the limit.
fn within(
    chunks: Vec<String>,
    limits: Limits,
    count: &impl Fn(&str) -> usize,
) -> Result<Vec<String>> {
    let mut within = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        if count(&chunk) > limits.token_max {
            within.extend(cut(chunk, true, limits, count)?);
        } else {
            within.push(chunk);
        }
    }
    Ok(within)
}

fn cut(
    text: String,
    code: bool,
    limits: Limits,
    count: &impl Fn(&str) -> usize,
) -> Result<Vec<String>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let section = Section {
        path: String::new(),
        code,
        text,
    };
    let chunks = chunk(&section, limits, count)?;
    Ok(chunks.iter().map(|chunk| chunk.text(&section)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{DocumentKey, Version};
    use crate::document::Fields;

    fn again(kind: &str, text: &str, chunks: &[&str], token_max: usize) -> Vec<String> {
        let manifest = Manifest {
            text: text.to_owned(),
            deleted: false,
            metadata: Fields::new(),
            ..Manifest::tombstone(DocumentKey::text(kind, "a"), Version::NONE.into(), 0)
        };
        let chunks = chunks.iter().map(|&chunk| chunk.to_owned()).collect();
        let count = |text: &str| text.split_whitespace().count() + 2;
        let limits = Limits { token_max };
        let prepared = Types::seed().cut_again(manifest, chunks, limits, &count);
        let prepared = prepared.unwrap();
        assert_eq!(prepared.text, text);
        assert!(
            prepared
                .chunks
                .iter()
                .all(|chunk| count(chunk) <= token_max)
        );
        prepared.chunks
    }

    #[test]
    fn a_text_is_cut_for_another_limit_as_one_that_is_new() {
        let sentence = |number| format!("This is what sentence {number} has to say.");
        let text: Vec<_> = (0..30).map(sentence).collect();
        let text = text.join(" ");
        for token_max in [40, 80, 1_000] {
            let fields = Fields::from_iter([("content".to_owned(), text.clone().into())]);
            let count = |text: &str| text.split_whitespace().count() + 2;
            let limits = Limits { token_max };
            let new = Types::seed().prepare("posts", &fields, &limits, &count);
            let found = again("posts", &text, &["whatever it was"], token_max);
            assert_eq!(found, new.unwrap().chunks);
        }
        assert_eq!(again("posts", "", &[], 40), Vec::<String>::new());
    }

    #[test]
    fn files_keep_their_chunks_but_those_that_are_too_large_now() {
        let (short, long) = ("src/a.rs\n\nfn a() {}", "word ".repeat(60));
        let long = format!("src/b.rs\n\n{}", long.trim_end());
        let text = format!("{short}\n\n{long}");
        assert_eq!(
            again("repositories", &text, &[short, &long], 100),
            [short, &long]
        );
        let found = again("repositories", &text, &[short, &long], 40);
        assert_eq!(found[0], short);
        assert_eq!(found.join(" ").split_whitespace().count(), 65);
    }
}
