//! A document to the texts that are embedded: clean, then chunk. Pure; the oracle of what the index
//! must hold.

use crate::document::Fields;

/// What the index must hold for one document, vectors aside.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The metadata that manifest and every point carry.
    pub metadata: Fields,
    /// The whole cleaned text.
    pub text: String,
    /// The exact texts to embed, heading prefix included, in the order of the text; none is over
    /// the token limit.
    pub chunks: Vec<String>,
}
