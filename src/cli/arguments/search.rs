//! The arguments of a search.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::change::Version;
use crate::command::Request;
use crate::search::{Mode, Query};

fn modes() -> impl TypedValueParser<Value = Mode> {
    let names = PossibleValuesParser::new(Mode::ALL.map(|(name, _)| name));
    names.try_map(|name| name.parse())
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Search {
    /// The question, in your own words
    text: String,
    /// By meaning (dense), by words (BM25), or by both (hybrid, which is the default)
    #[arg(long, value_parser = modes())]
    mode: Option<Mode>,
    /// Only this author's: a full name or an id
    #[arg(long, help_heading = "Which documents")]
    author: Option<String>,
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "TYPE", help_heading = "Which documents")]
    kinds: Vec<String>,
    /// Only this platform, as medium; may be given several times
    #[arg(
        long = "platform",
        value_name = "PLATFORM",
        help_heading = "Which documents"
    )]
    platforms: Vec<String>,
    /// Only this language, as en, which is en-GB too; may be given several times
    #[arg(
        long = "language",
        value_name = "LANGUAGE",
        help_heading = "Which documents"
    )]
    languages: Vec<String>,
    /// Only what was published, or else modified, on this day or later: 2024-05-31, or with a time
    #[arg(long, value_name = "DATE", help_heading = "Which documents")]
    since: Option<String>,
    /// The same for this day or earlier
    #[arg(long, value_name = "DATE", help_heading = "Which documents")]
    until: Option<String>,
    /// Only documents whose link begins like this
    #[arg(long, value_name = "PREFIX", help_heading = "Which documents")]
    link: Option<String>,
    /// How many documents at most
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// Rather documents that differ from each other
    #[arg(long)]
    diverse: bool,
    /// Wait until the change of this version is searchable, as `crawl --no-wait` names it
    #[arg(long, value_name = "VERSION")]
    at_least: Option<Version>,
    /// How long to wait for it at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = crate::search::WAIT_MS / 1000)]
    wait: u64,
}

impl Search {
    pub(super) fn request(self) -> Request {
        Request::Search(Query {
            text: self.text,
            mode: self.mode.unwrap_or_default(),
            author: self.author,
            author_id: None,
            kinds: self.kinds,
            platforms: self.platforms,
            languages: self.languages,
            since: self.since,
            until: self.until,
            link: self.link,
            diverse: self.diverse,
            at_least: self.at_least,
            wait_ms: Some(self.wait.saturating_mul(1000)),
            limit: self.limit,
        })
    }
}
