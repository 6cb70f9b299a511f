//! One cleaned text, cut in several ways.

use std::ops::Range;

use lockstep::document::{Fields, kind};
use lockstep::feature::embed::Embedder;
use lockstep::feature::prepare::{Limits, prepare};
use lockstep::{Error, Result};
use serde_json::json;

use crate::plain::Plain;

/// A way of cutting a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Ours.
    Ours,
    /// 1,000 characters with 200 of overlap, as in most examples of the plain splitter.
    Characters,
    /// The model's limit in tokens, with 50 of overlap.
    Tokens,
    /// The same without overlap, which is its best case.
    Bare,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Characters, Self::Tokens, Self::Bare];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Characters => "plain, 1000/200 characters",
            Self::Tokens => "plain, 256/50 tokens",
            Self::Bare => "plain, 256/0 tokens",
        }
    }
}

/// A text to embed, and which part of the cleaned text it holds.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) range: Range<usize>,
}

/// A document, cleaned, with our chunks of it.
pub(crate) struct Cleaned {
    pub(crate) text: String,
    ours: Vec<String>,
}

impl Cleaned {
    pub(crate) fn new(markdown: &str, embedder: &impl Embedder) -> Result<Self> {
        let content = json!({ "Content": markdown });
        let fields = Fields::from_iter([("content".to_owned(), content)]);
        let limits = Limits::of_model(embedder.model());
        let count = |text: &str| embedder.token_count(text);
        let prepared = prepare(kind::ARTICLES, &fields, &limits, &count)?;
        Ok(Self {
            text: prepared.text,
            ours: prepared.chunks,
        })
    }

    pub(crate) fn cut(&self, way: Way, embedder: &impl Embedder) -> Result<Vec<Piece>> {
        let special = embedder.token_count("");
        let tokens = |text: &str| embedder.token_count(text) - special;
        let size = embedder.model().token_limit - special;
        let characters = |text: &str| text.chars().count();
        let plain = match way {
            Way::Ours => return self.ours(),
            Way::Characters => Plain {
                size: 1000,
                overlap: 200,
                length: &characters,
            },
            Way::Tokens => Plain {
                size,
                overlap: 50,
                length: &tokens,
            },
            Way::Bare => Plain {
                size,
                overlap: 0,
                length: &tokens,
            },
        };
        let pieces = plain.split(&self.text).into_iter().map(|range| Piece {
            text: self.text[range.clone()].to_owned(),
            range,
        });
        Ok(pieces.collect())
    }

    /// Our chunks are the text, one after the other, some behind a prefix of one line.
    fn ours(&self) -> Result<Vec<Piece>> {
        let mut at = 0;
        let mut pieces = Vec::with_capacity(self.ours.len());
        for chunk in &self.ours {
            let rest = self.text[at..].trim_start();
            let start = self.text.len() - rest.len();
            let body = match chunk.split_once("\n\n") {
                _ if rest.starts_with(chunk.trim_start()) => chunk.trim_start(),
                Some((_, body)) if rest.starts_with(body.trim_start()) => body.trim_start(),
                _ => return Err(Error::malformed("a chunk", "it is not where it should be")),
            };
            at = start + body.len();
            pieces.push(Piece {
                text: chunk.clone(),
                range: start..at,
            });
        }
        Ok(pieces)
    }
}
