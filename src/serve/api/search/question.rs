//! What is asked, in a link or in a body.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::super::extract::Parameters;
use super::super::super::problem::Problem;
use super::super::said;
use crate::change::Version;
use crate::search::{Mode, Query, WAIT_MS};

/// What is left of the time of a request for the search itself, when a version has been waited for.
const SEARCHING: Duration = Duration::from_secs(2);

/// A question.
#[derive(Debug, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Question {
    /// The question, in anyone's words.
    #[schema(pattern = r"\S")]
    #[param(pattern = r"\S")]
    q: String,
    /// What documents are compared by: `dense` by meaning, `words` by BM25, `hybrid` by both.
    #[serde(default)]
    #[schema(value_type = String, pattern = "^(hybrid|dense|words)$", default = "hybrid")]
    #[param(value_type = Option<String>, pattern = "^(hybrid|dense|words)$", default = "hybrid")]
    mode: Mode,
    /// Only documents of this author: a full name, in any case, or an id.
    #[serde(default)]
    author: Option<String>,
    /// Only documents of these types; none for all. May be given several times.
    #[serde(default, rename = "type")]
    #[schema(required = false)]
    #[param(required = false)]
    types: Vec<String>,
    /// Only documents of these platforms, in any case; none for all. May be given several times.
    #[serde(default, rename = "platform")]
    #[schema(required = false)]
    #[param(required = false)]
    platforms: Vec<String>,
    /// Only documents in these languages (BCP 47; `en` is `en-GB` too); none for all. May be given several
    /// times.
    #[serde(default, rename = "language")]
    #[schema(required = false)]
    #[param(required = false)]
    languages: Vec<String>,
    /// Only documents that were published, or else modified, at this moment or later: RFC 3339, or a day.
    #[serde(default)]
    #[schema(format = DateTime)]
    #[param(format = DateTime)]
    since: Option<String>,
    /// The same for this moment or earlier; a day counts as a whole.
    #[serde(default)]
    #[schema(format = DateTime)]
    #[param(format = DateTime)]
    until: Option<String>,
    /// Only documents whose link begins like this.
    #[serde(default)]
    link: Option<String>,
    /// Whether documents that resemble better ones give way to others.
    #[serde(default)]
    #[param(default = false)]
    diverse: bool,
    /// Answered when every change up to this version is in the index; a crawl, a save and a hit name versions.
    #[serde(default)]
    #[schema(pattern = r"^[0-9]{1,10}(\.[0-9]{1,10}){3}$")]
    #[param(pattern = r"^[0-9]{1,10}(\.[0-9]{1,10}){3}$")]
    at_least: Option<String>,
    /// How long that is waited for, in seconds, and at most as long as a request may take.
    #[serde(default = "ten", deserialize_with = "whole")]
    #[schema(minimum = 0, maximum = 600, default = 10)]
    #[param(minimum = 0, maximum = 600, default = 10)]
    wait: usize,
    /// How many documents at most.
    #[serde(default = "ten", deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    #[param(minimum = 1, maximum = 1000, default = 10)]
    limit: usize,
}

fn ten() -> usize {
    10
}

/// A whole number, which JSON may also write as `10.0`.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    let text = number.to_string();
    let digits = text.strip_suffix(".0").unwrap_or(&text);
    let no = |_| serde::de::Error::custom(format!("{number} is no whole number"));
    digits.parse().map_err(no)
}

/// A version; a number that is too large for one stands for the largest, of a version that never comes.
fn version(text: &str) -> Result<Version, Problem> {
    let number = |word: &str| {
        let number = word.parse::<u64>().ok()?;
        Some(number.min(u32::MAX.into()).to_string())
    };
    let words: Option<Vec<String>> = text.split('.').map(number).collect();
    let version = words.and_then(|words| words.join(".").parse().ok());
    let why = "is no version: it is four numbers, as a hit has them";
    version.ok_or_else(|| Problem::bad(format!("at_least: {text:?} {why}")))
}

/// As a client of ours asks it.
impl From<&Query> for Question {
    fn from(query: &Query) -> Self {
        let wait = query.wait_ms.unwrap_or(WAIT_MS).div_ceil(1_000);
        Self {
            q: query.text.clone(),
            mode: query.mode,
            author: query.author.clone(),
            types: query.kinds.clone(),
            platforms: query.platforms.clone(),
            languages: query.languages.clone(),
            since: query.since.clone(),
            until: query.until.clone(),
            link: query.link.clone(),
            diverse: query.diverse,
            at_least: query.at_least.map(|version| version.to_string()),
            wait: usize::try_from(wait).unwrap_or(usize::MAX),
            limit: query.limit,
        }
    }
}

impl Question {
    /// Takes its parameters from a link.
    pub(super) fn of(given: &mut Parameters) -> Result<Self, Problem> {
        let mode = given.one("mode")?.map(|name| name.parse());
        Ok(Self {
            q: given.one("q")?.unwrap_or_default(),
            mode: mode.transpose()?.unwrap_or_default(),
            author: given.one("author")?,
            types: given.many("type"),
            platforms: given.many("platform"),
            languages: given.many("language"),
            since: given.one("since")?,
            until: given.one("until")?,
            link: given.one("link")?,
            diverse: given.read("diverse", "truth value")?.unwrap_or(false),
            at_least: given.one("at_least")?,
            wait: given.read("wait", "number of seconds")?.unwrap_or_else(ten),
            limit: given.read("limit", "number")?.unwrap_or_else(ten),
        })
    }

    /// The question as the search room has it; a request may take so long.
    pub(super) fn query(self, patience: Duration) -> Result<Query, Problem> {
        said("q", &self.q)?;
        let query = Query {
            text: self.q,
            mode: self.mode,
            author: self.author,
            author_id: None,
            kinds: self.types,
            platforms: self.platforms,
            languages: self.languages,
            since: self.since,
            until: self.until,
            link: self.link,
            diverse: self.diverse,
            at_least: self.at_least.as_deref().map(version).transpose()?,
            wait_ms: Some(
                u64::try_from(self.wait)
                    .unwrap_or(u64::MAX)
                    .saturating_mul(1000),
            ),
            limit: self.limit,
        };
        query.check()?;
        let most = patience.saturating_sub(SEARCHING).as_millis();
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let wait_ms = query.wait_ms.unwrap_or(WAIT_MS).min(most);
        Ok(Query {
            wait_ms: Some(wait_ms),
            ..query
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_comes_through_as_it_was_asked() {
        let words =
            |words: &[&str]| -> Vec<String> { words.iter().copied().map(str::to_owned).collect() };
        let asked = Query {
            text: "how do I share state".to_owned(),
            mode: Mode::Words,
            author: Some("Ada Lovelace".to_owned()),
            author_id: None,
            kinds: words(&["posts", "articles"]),
            platforms: words(&["medium"]),
            languages: words(&["fi", "sv"]),
            since: Some("2024-01-01".to_owned()),
            until: Some("2024-02-01T00:00:00Z".to_owned()),
            link: Some("https://example.org/".to_owned()),
            diverse: true,
            at_least: Some("1.1731920000.7.0".parse().unwrap()),
            wait_ms: Some(3_000),
            limit: 3,
        };
        let body = serde_json::to_vec(&Question::from(&asked)).unwrap();
        let question: Question = serde_json::from_slice(&body).unwrap();
        let patience = Duration::from_mins(1);
        assert_eq!(question.query(patience).unwrap(), asked);
        let plain = Query {
            text: "how".to_owned(),
            limit: 1,
            ..Query::default()
        };
        let question = Question::from(&plain).query(patience).unwrap();
        // A wait that nobody named is the one that both sides know.
        let wait_ms = Some(WAIT_MS);
        assert_eq!(question, Query { wait_ms, ..plain });
    }
}
