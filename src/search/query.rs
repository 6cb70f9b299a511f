//! What is asked, and what of it the store is told. Pure.

use serde::{Deserialize, Serialize};

use crate::change::Version;
use crate::document::{Fields, author_id};
use crate::vector::{Moment, Only, only};
use crate::{Error, Result};

/// The most documents of one answer.
pub const LIMIT_MAX: usize = 1000;
/// How long a search waits for a version if it is not told: a change is searchable in a second or two.
pub const WAIT_MS: u64 = 10_000;
/// How long it may wait at most.
pub const WAIT_MS_MAX: u64 = 600_000;

/// What a question is compared by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By both, fused by reciprocal rank.
    #[default]
    Hybrid,
    /// By meaning alone: the vectors of the model.
    Dense,
    /// By words alone: BM25.
    Words,
}

impl Mode {
    /// Every one, by the name that people give it.
    pub const ALL: [(&'static str, Self); 3] = [
        ("hybrid", Self::Hybrid),
        ("dense", Self::Dense),
        ("words", Self::Words),
    ];
}

impl std::str::FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        match found {
            Some((_, mode)) => Ok(mode),
            None => bad(
                "mode",
                format!("`{text}` is none of hybrid, dense and words"),
            ),
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    /// The question, in anyone's words.
    pub text: String,
    /// What it is compared by.
    pub mode: Mode,
    /// Only documents of this author: a full name, in any case, or an `author_id`.
    pub author: Option<String>,
    /// The id of the one stored person whom `author` names: documents that have it are theirs too, under whatever name.
    /// Whoever answers looks it up.
    #[serde(skip)]
    pub author_id: Option<String>,
    /// Only documents of these types; empty for all.
    pub kinds: Vec<String>,
    /// Only documents of these platforms, in any case; empty for all.
    pub platforms: Vec<String>,
    /// Only documents in these languages, as BCP 47 writes them: `en` is `en-GB` too. Empty for all.
    pub languages: Vec<String>,
    /// Only documents that were published, or else modified, on this day or moment or later.
    pub since: Option<String>,
    /// The same for this day or moment or earlier; a day counts as a whole.
    pub until: Option<String>,
    /// Only documents whose link begins like this.
    pub link: Option<String>,
    /// Whether documents that resemble better ones give way to others.
    pub diverse: bool,
    /// Answered when everything up to this version is in the index.
    pub at_least: Option<Version>,
    /// How long that is waited for, in milliseconds; none for [`WAIT_MS`].
    pub wait_ms: Option<u64>,
    /// How many documents at most, 1 to [`LIMIT_MAX`].
    pub limit: usize,
}

/// A condition that no document may meet: how it is said, and what it comes to.
pub(super) struct Condition {
    pub(super) says: String,
    pub(super) only: Only,
    /// The rest of it, which no store compares.
    pub(super) link: Option<String>,
    /// Whether there are others like it, one of which is enough.
    pub(super) has_others: bool,
}

impl Query {
    /// Refuses what cannot be asked.
    ///
    /// # Errors
    /// [`Error::Config`] naming the argument.
    pub fn check(&self) -> Result<()> {
        if self.text.trim().is_empty() {
            return bad("the question", "it is empty".to_owned());
        }
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return bad("limit", format!("{} is not 1 to {LIMIT_MAX}", self.limit));
        }
        if let Some(wait) = self.wait_ms.filter(|wait| *wait > WAIT_MS_MAX) {
            let most = WAIT_MS_MAX / 1000;
            return bad("wait", format!("{} s are more than {most} s", wait / 1000));
        }
        let (since, until) = self.dates()?;
        match since.zip(until) {
            Some((since, until)) if since > until => {
                bad("since", "it is later than until".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Which points are asked for.
    pub(super) fn only(&self) -> Result<Only> {
        let (since, until) = self.dates()?;
        let only = Only {
            since,
            until,
            ..Only::of_kinds(self.kinds.clone())
        };
        let author = self.author.as_deref();
        let author = author.map(|author| self.whoever_is(author));
        Ok(only
            .and(author.unwrap_or_default())
            .and(
                self.platforms
                    .iter()
                    .map(|one| only::platform(one))
                    .collect(),
            )
            .and(
                self.languages
                    .iter()
                    .map(|one| only::language(one))
                    .collect(),
            )
            .and(
                self.link
                    .as_deref()
                    .and_then(only::link)
                    .into_iter()
                    .collect(),
            ))
    }

    /// What the store cannot compare: the rest of a link behind its last `/`.
    pub(super) fn admits(&self, metadata: &Fields) -> bool {
        self.link.as_deref().is_none_or(|prefix| {
            let link = metadata.get("link").and_then(serde_json::Value::as_str);
            link.is_some_and(|link| link.starts_with(prefix))
        })
    }

    /// Each condition alone.
    pub(super) fn conditions(&self) -> Result<Vec<Condition>> {
        let one = |says: String, only: Only, list: usize| Condition {
            says,
            only,
            link: None,
            has_others: list > 1,
        };
        let label = |label: String| Only::default().and(vec![label]);
        let author = self.author.iter().map(|author| {
            let only = Only::default().and(self.whoever_is(author));
            one(format!("the author `{author}`"), only, 1)
        });
        let kinds = self.kinds.iter().map(|kind| {
            let only = Only::of_kinds([kind.as_str()]);
            one(format!("the type `{kind}`"), only, self.kinds.len())
        });
        let platforms = self.platforms.iter().map(|name| {
            let only = label(only::platform(name));
            one(format!("the platform `{name}`"), only, self.platforms.len())
        });
        let languages = self.languages.iter().map(|tag| {
            let only = label(only::language(tag));
            one(format!("the language `{tag}`"), only, self.languages.len())
        });
        let link = self.link.iter().map(|prefix| {
            let only = Only::default().and(only::link(prefix).into_iter().collect());
            Condition {
                link: Some(prefix.clone()),
                ..one(format!("a link like `{prefix}`"), only, 1)
            }
        });
        let mut all: Vec<_> = author
            .chain(kinds)
            .chain(platforms)
            .chain(languages)
            .chain(link)
            .collect();
        let (since, until) = self.dates()?;
        if since.is_some() || until.is_some() {
            let only = Only {
                since,
                until,
                ..Only::default()
            };
            all.push(one("a date in that range".to_owned(), only, 1));
        }
        Ok(all)
    }

    /// Whom the asker may have meant: an id as it stands, a name, a name whose id follows from it, or who is stored.
    fn whoever_is(&self, author: &str) -> Vec<String> {
        let stored = self.author_id.iter().map(|id| only::author(id));
        stored
            .chain([
                only::author(author),
                only::author(&author_id(author)),
                only::name(author),
            ])
            .collect()
    }

    fn dates(&self) -> Result<(Option<i64>, Option<i64>)> {
        let since = date("since", self.since.as_deref())?;
        let until = date("until", self.until.as_deref())?;
        Ok((since.map(|date| date.seconds), until.map(Moment::end)))
    }
}

fn date(argument: &str, text: Option<&str>) -> Result<Option<Moment>> {
    let Some(text) = text else {
        return Ok(None);
    };
    match Moment::of(text) {
        Some(moment) => Ok(Some(moment)),
        None => bad(
            argument,
            format!("`{text}` is no date: write 2024-05-31, or 2024-05-31T08:00:00Z"),
        ),
    }
}

fn bad<T>(setting: &str, why: String) -> Result<T> {
    Err(Error::Config {
        setting: setting.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(fields: &serde_json::Value) -> Query {
        let mut query: Query = serde_json::from_value(fields.clone()).unwrap();
        (query.text, query.limit) = ("why".to_owned(), 5);
        query
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_name() {
        for (fields, named) in [
            (json!({"since": "last week"}), "since"),
            (json!({"until": "2024-02-30"}), "until"),
            (
                json!({"since": "2024-02-02", "until": "2024-02-01"}),
                "since",
            ),
            (json!({"wait_ms": WAIT_MS_MAX + 1}), "wait"),
        ] {
            let error = query(&fields).check().unwrap_err();
            assert!(
                matches!(&error, Error::Config { setting, .. } if setting == named),
                "{error:?}"
            );
        }
        // One day is a range.
        query(&json!({"since": "2024-02-01", "until": "2024-02-01"}))
            .check()
            .unwrap();
    }

    #[test]
    fn a_link_is_compared_to_its_very_end() {
        let query = query(&json!({"link": "https://example.org/a/on"}));
        let fields = |link: &str| Fields::from_iter([("link".to_owned(), link.into())]);
        let only = query.only().unwrap();
        for (link, in_store, at_last) in [
            ("https://example.org/a/one", true, true),
            ("https://example.org/a/two", true, false),
            ("https://example.org/b/one", false, false),
        ] {
            assert_eq!(only.admits("posts", &fields(link)), in_store, "{link}");
            assert_eq!(query.admits(&fields(link)), at_last, "{link}");
        }
        assert!(!query.admits(&Fields::new()));
    }

    #[test]
    fn an_older_program_may_ask_too() {
        let asked = json!({"text": "why", "limit": 3});
        let query: Query = serde_json::from_value(asked).unwrap();
        assert_eq!((query.mode, query.limit), (Mode::default(), 3));
    }
}
