//! What is exported, and where to.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use crate::export::{Selection, What};
use crate::moment;
use crate::{Error, Result};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// A JSON object a line
    Jsonl,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// What a line is: a document with its text, a chunk, or a chunk with its vector
    #[arg(long, default_value = "documents", value_parser = PossibleValuesParser::new(What::ALL.map(What::name)))]
    what: String,
    /// How a line is written
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Only this author's: a full name or an id
    #[arg(long)]
    author: Option<String>,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only documents whose last change was committed then or later: 2026-01-31, RFC 3339, or the `as_of` of a
    /// manifest
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Write the lines there instead of standard output; a file is there when all are read
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Write counts, digest and `as_of` there as JSON
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) manifest: Option<PathBuf>,
}

impl Export {
    /// What is asked for.
    ///
    /// # Errors
    /// [`Error::Config`] for a time that cannot be read.
    pub(in crate::cli) fn selection(&self) -> Result<Selection> {
        let Format::Jsonl = self.format;
        let what = What::ALL.into_iter().find(|what| what.name() == self.what);
        let since = self.since.as_deref().map(|text| {
            moment::read(text).ok_or_else(|| Error::Config {
                setting: "--since".into(),
                why: format!("{text} is no time, as 2026-01-31 or 2026-01-31T12:00:00Z"),
            })
        });
        Ok(Selection {
            what: what.unwrap_or_default(),
            author: self.author.clone(),
            types: self.types.clone(),
            since_ms: since.transpose()?,
        })
    }
}
