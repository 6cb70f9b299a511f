//! The people whose documents these are: each stored once, under `users`; found, listed, renamed and
//! deleted.
//!
//! ```text
//! name or id ──> users: id, else name, else former name ──> one person ──id──> their documents
//! ```
//!
//! - A person keeps the id they got with their first document, whatever the name becomes.
//! - A rename changes names and no text, so that nothing is embedded. It can be repeated: after a
//!   crash the same command brings the rest of the documents up to date.
//! - A former name goes on naming the same person, so that a script that crawls under it makes
//!   nobody a second time.

mod known;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::DocumentKey;
use crate::document::{Document, Fields, User, kind};
use crate::source::Source;
use crate::{Error, Result};
use known::Known;

/// Documents read at a time; few, since one may have 12 MiB.
const PAGE: usize = 16;

/// A person, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// What documents carry as `author_id` or `owner_id`.
    pub id: String,
    /// The name.
    pub full_name: String,
    /// Names they had before.
    pub former_names: Vec<String>,
    /// How many documents of every type are theirs.
    pub documents: u64,
}

/// Everybody who is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// By name.
    pub authors: Vec<Author>,
}

/// What a rename did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// Whose id stays this.
    pub id: String,
    /// The name until now.
    pub from: String,
    /// The name from now on.
    pub to: String,
    /// Documents that carry the new name now and did not before.
    pub documents: u64,
}

/// What a deletion did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Who.
    pub full_name: String,
    /// How many documents went along.
    pub documents: u64,
}

/// Somebody to crawl for.
pub(crate) struct Found {
    /// Who.
    pub(crate) user: User,
    /// Whether they are still to be stored.
    pub(crate) is_new: bool,
}

/// The stored person of this name or id, or a new one of this name.
pub(crate) async fn or_new<S: Source>(source: &S, text: &str) -> Result<Found> {
    let user = User::new(text).ok_or_else(|| Error::Config {
        setting: "author".to_owned(),
        why: "a crawl needs the author's name".to_owned(),
    })?;
    let known = everybody(source).await?;
    // Several of one name: the one whose id we would give, else always the same one.
    let named = known::named(&known, text);
    let own = named.iter().find(|known| known.id() == user.id());
    Ok(match own.or(named.first()) {
        Some(known) => Found {
            user: known.user(),
            is_new: false,
        },
        None => Found { user, is_new: true },
    })
}

/// The one stored person of this name or id; none where nobody or several are.
pub(crate) async fn known_id<S: Source>(source: &S, text: &str) -> Result<Option<String>> {
    let known = everybody(source).await?;
    let named = known::named(&known, text);
    Ok(match &named[..] {
        [one] => Some(one.id()),
        _ => None,
    })
}

/// Lists everybody who is stored, with how many documents are theirs: reads every document once.
pub async fn list<S: Source>(source: &S) -> Result<List> {
    let known = everybody(source).await?;
    let mut counts = HashMap::<String, u64>::new();
    let mut pages = Pages::of(source).await?;
    while let Some(page) = pages.next().await? {
        for id in page
            .iter()
            .flat_map(|document| known::author_ids(&document.fields))
        {
            *counts.entry(id).or_default() += 1;
        }
    }
    let author = |known: &Known| Author {
        documents: counts.get(&known.id()).copied().unwrap_or_default(),
        id: known.id(),
        full_name: known.full_name(),
        former_names: known.former_names(),
    };
    let mut authors: Vec<Author> = known.iter().map(author).collect();
    authors.sort_by(|a, b| (&a.full_name, &a.id).cmp(&(&b.full_name, &b.id)));
    Ok(List { authors })
}

/// Gives a stored person another name, in `users` and in every document that carries the name.
///
/// Names alone are written: what somebody else edits meanwhile stays.
///
/// # Errors
/// [`Error::NotFound`] for nobody, [`Error::Config`] for several, an empty name, or another's;
/// [`Error::Malformed`] for a document that cannot be written from here, when all others have the name.
pub async fn rename<S: Source>(source: &S, who: &str, to: &str) -> Result<Renamed> {
    let known = everybody(source).await?;
    let person = one(&known, who)?;
    let refuse = |why: &str| Error::Config {
        setting: to.to_owned(),
        why: why.to_owned(),
    };
    let named = User::new(to).ok_or_else(|| refuse("a name has at least one word"))?;
    if known
        .iter()
        .any(|other| other.id() != person.id() && known::is_same(&other.full_name(), to))
    {
        return Err(refuse("somebody else has this name"));
    }
    let user = User::known(person.id(), named.full_name().to_owned());
    source
        .amend(person.renamed(&user).into_iter().collect())
        .await?;
    let (mut documents, mut refused) = (0, None);
    let mut pages = Pages::of(source).await?;
    while let Some(page) = pages.next().await? {
        let differing: Vec<Document> = (page.iter())
            .filter_map(|document| known::carrying(document, &user))
            .collect();
        documents += differing.len() as u64;
        if !differing.is_empty() {
            match source.amend(differing).await {
                // One that cannot be written from here keeps no other one.
                Err(error @ Error::Malformed { .. }) => refused = Some(error),
                done => done?,
            }
        }
    }
    let renamed = Renamed {
        id: person.id(),
        from: person.full_name(),
        to: user.full_name().to_owned(),
        documents,
    };
    refused.map_or(Ok(renamed), Err)
}

/// Deletes a stored person, and their documents if `documents`.
///
/// # Errors
/// As for [`rename`], and [`Error::Config`] where there are documents that are not to be deleted.
pub async fn delete<S: Source>(source: &S, who: &str, documents: bool) -> Result<Deleted> {
    let known = everybody(source).await?;
    let person = one(&known, who)?;
    let id = person.id();
    let mut count = 0;
    let mut pages = Pages::of(source).await?;
    while let Some(page) = pages.next().await? {
        let theirs: Vec<DocumentKey> = (page.iter())
            .filter(|document| known::author_ids(&document.fields).contains(&id))
            .map(|document| document.key.clone())
            .collect();
        count += theirs.len() as u64;
        if documents && !theirs.is_empty() {
            source.delete(theirs).await?;
        }
    }
    if count > 0 && !documents {
        return Err(Error::Config {
            setting: person.full_name(),
            why: format!("{count} documents are theirs; --documents deletes these too"),
        });
    }
    source.delete(vec![person.document.key.clone()]).await?;
    Ok(Deleted {
        full_name: person.full_name(),
        documents: count,
    })
}

fn one<'a>(known: &'a [Known], who: &str) -> Result<&'a Known> {
    match &known::named(known, who)[..] {
        [] => Err(Error::NotFound {
            what: format!("author {who}"),
        }),
        [one] => Ok(one),
        several => {
            let ids: Vec<String> = several.iter().map(|known| known.id()).collect();
            Err(Error::Config {
                setting: who.to_owned(),
                why: format!(
                    "several authors have this name; give one id of: {}",
                    ids.join(", ")
                ),
            })
        }
    }
}

/// Everybody who is stored, in the order of their keys.
async fn everybody<S: Source>(source: &S) -> Result<Vec<Known>> {
    let (mut after, mut known) = (None, Vec::new());
    loop {
        let page = source.page(kind::USERS, after, 10 * PAGE).await?.found;
        let Some(last) = page.last() else {
            return Ok(known);
        };
        after = Some(last.key.id.clone());
        known.extend(page.into_iter().map(|document| Known { document }));
    }
}

/// Every document but the people, a page at a time.
struct Pages<'a, S> {
    source: &'a S,
    /// What is still to be read, the next one last.
    kinds: Vec<String>,
    after: Option<String>,
}

impl<'a, S: Source> Pages<'a, S> {
    async fn of(source: &'a S) -> Result<Self> {
        let mut kinds = source.kinds().await?;
        kinds.retain(|kind| kind != kind::USERS);
        Ok(Self {
            source,
            kinds,
            after: None,
        })
    }

    /// The next page, none at the end. Whoever changes a page does so before asking for the next.
    async fn next(&mut self) -> Result<Option<Vec<Document>>> {
        while let Some(kind) = self.kinds.last() {
            let after = self.after.take();
            let page = self.source.page(kind, after, PAGE).await?.found;
            if let Some(last) = page.last() {
                self.after = Some(last.key.id.clone());
                return Ok(Some(page));
            }
            self.kinds.pop();
        }
        Ok(None)
    }
}

/// A field's text, or nothing.
fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}
