//! How many tokens a text has for a model that is somewhere else.
//!
//! ```text
//! text ──tokenizer file──> its tokens
//!      └─no file─────────> an estimate that is seldom too low
//! ```

use std::path::Path;

use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use crate::{Error, Result};

/// The tokens that frame every text.
const SPECIAL_TOKENS: usize = 2;

/// Letters a token at most. Common English words of up to eight letters are one token, so that
/// prose is overestimated by about a third; rare names are not.
const TOKEN_LETTERS: usize = 4;

/// Digits a token; the vocabularies group one to three.
const TOKEN_DIGITS: usize = 2;

/// Tokens of a character beyond ASCII: one in the vocabularies that know it, up to one a byte in
/// those that do not.
const TOKENS_FOREIGN: usize = 2;

/// Counts tokens.
pub(crate) enum Tokens {
    /// By the model's own tokenizer, and the digest of its file.
    Counted(Box<Tokenizer>, String),
    /// By a rule of thumb.
    Estimated,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.identity())
    }
}

impl Tokens {
    /// Opens a `tokenizer.json` of the Hugging Face hub; without one it estimates.
    ///
    /// # Errors
    /// [`Error::Model`] for a file that cannot be read or is no tokenizer.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else {
            return Ok(Self::Estimated);
        };
        let bad = |why: String| Error::Model {
            path: path.to_owned(),
            why: format!(
                "{why}; give model.tokenizer the model's tokenizer.json, or leave it empty"
            ),
        };
        let bytes =
            std::fs::read(path).map_err(|error| bad(format!("it cannot be read: {error}")))?;
        let no_tokenizer = |error: tokenizers::Error| bad(format!("it is no tokenizer: {error}"));
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(no_tokenizer)?;
        // The file's own wishes would cut texts in silence.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(no_tokenizer)?;
        let digest = format!("{:x}", Sha256::digest(&bytes));
        Ok(Self::Counted(Box::new(tokenizer), digest))
    }

    /// What tells one way of counting from another: chunks depend on it.
    pub(crate) fn identity(&self) -> &str {
        match self {
            Self::Counted(_, digest) => digest,
            Self::Estimated => "estimate 1",
        }
    }

    /// The tokens, the special ones included.
    pub(crate) fn count(&self, text: &str) -> usize {
        match self {
            // A text that cannot be read as tokens is over every limit.
            Self::Counted(tokenizer, _) => tokenizer
                .encode_fast(text, true)
                .map_or(usize::MAX, |encoding| encoding.len()),
            Self::Estimated => SPECIAL_TOKENS + estimate(text),
        }
    }
}

/// Runs of letters and of digits by their length, every other visible character by itself; so that
/// the words of a text add up, whatever it is cut into.
fn estimate(text: &str) -> usize {
    let (mut tokens, mut letters, mut digits) = (0, 0, 0);
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            tokens += usize::from(letters % TOKEN_LETTERS == 0);
            letters += 1;
            digits = 0;
        } else if character.is_ascii_digit() {
            tokens += usize::from(digits % TOKEN_DIGITS == 0);
            digits += 1;
            letters = 0;
        } else {
            (letters, digits) = (0, 0);
            tokens += match character {
                _ if character.is_whitespace() => 0,
                _ if character.is_ascii() => 1,
                _ => TOKENS_FOREIGN,
            };
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_add_up_and_nothing_visible_is_free() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("word words"), 3);
        assert_eq!(estimate("a, b!"), 4);
        assert_eq!(estimate("2026 ä 好"), 6);
        let (a, b) = ("some words (here)", "and 42 extraordinary ones");
        assert_eq!(estimate(&format!("{a}\n\n{b}")), estimate(a) + estimate(b));
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, "{}").unwrap();
        let told = Tokens::open(Some(&path)).unwrap_err().to_string();
        assert!(
            told.contains("tokenizer.json: it is no tokenizer"),
            "{told}"
        );
        let told = Tokens::open(Some(&folder.path().join("none"))).unwrap_err();
        assert!(told.to_string().contains("it cannot be read"), "{told}");
    }
}
