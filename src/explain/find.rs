//! From what a person types to the one document that is meant.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use url::Url;

use crate::change::DocumentKey;
use crate::document::{Fields, kind};
use crate::queue::Queue;
use crate::source::{Source, read_all};
use crate::vector::{Select, VectorStore};
use crate::verify::Ports;
use crate::{Error, Result, crawl};

/// Documents or manifests read at a time.
const PAGE: usize = 256;
/// Candidates told to a person.
const TOLD_MAX: usize = 10;

/// Finds the one document that `text` names, as [`find_keys`] does.
///
/// # Errors
/// [`Error::NotFound`] if there is none, [`Error::Config`] with the candidates if there are
/// several.
pub async fn find_key<S: Source, Q: Queue, V: VectorStore, E>(
    ports: &Ports<'_, S, Q, V, E>,
    text: &str,
) -> Result<DocumentKey> {
    only(text.trim(), find_keys(ports, text).await?)
}

/// Finds every document that `text` names: `<type>/<id>` as it is shown or as extended JSON, a
/// link, or an id. Several have one link if a repository was stored in parts.
///
/// The source, the index and the parked changes are searched, a whole scan unless a type is named.
pub async fn find_keys<S: Source, Q: Queue, V: VectorStore, E>(
    ports: &Ports<'_, S, Q, V, E>,
    text: &str,
) -> Result<BTreeSet<DocumentKey>> {
    let text = text.trim();
    let named = spelled(text);
    if !named.is_empty() {
        let known = known(ports, named).await?;
        // As it is spelled in a list of candidates it names exactly one.
        let exact = |key: &&DocumentKey| text.split_once('/') == Some((&key.kind, &key.id));
        if let Some(exact) = known.iter().find(exact) {
            return Ok(BTreeSet::from([exact.clone()]));
        }
        if !known.is_empty() {
            return Ok(known);
        }
    }
    scan(ports, &Wanted::new(text)).await
}

/// Of what a text names, what it means where something is done to it: one document, or all parts of one repository.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Config`] as [`find_key`] has them.
pub(crate) fn meant(text: &str, found: BTreeSet<DocumentKey>) -> Result<Vec<DocumentKey>> {
    if !found.is_empty() && found.iter().all(|key| key.kind == kind::REPOSITORIES) {
        return Ok(found.into_iter().collect());
    }
    // A comment has the link of the post that it is about.
    let own = crawl::keys_of(text.trim());
    let crawled: BTreeSet<_> = found
        .iter()
        .filter(|key| own.contains(key))
        .cloned()
        .collect();
    let found = if crawled.is_empty() { found } else { crawled };
    only(text, found).map(|key| vec![key])
}

/// Every key that `<type>/<id>` may spell.
pub(crate) fn spelled(text: &str) -> Vec<DocumentKey> {
    let Some((kind, id)) = text.split_once('/').filter(|(kind, id)| {
        // A link has a colon before its first slash, and a path starts with one.
        !kind.is_empty() && !kind.contains(':') && !id.is_empty()
    }) else {
        return Vec::new();
    };
    keys(kind, id)
}

/// Every key of this type whose id may be spelled so: as it is shown, or as extended JSON.
pub(crate) fn keys(kind: &str, id: &str) -> Vec<DocumentKey> {
    let json: Option<Value> = serde_json::from_str(id).ok();
    let parsed = json.and_then(|id| DocumentKey::from_json(kind, &id).ok());
    let is_hex = id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let object_id = is_hex.then(|| json!({"$oid": id.to_ascii_lowercase()}));
    let object_id = object_id.and_then(|id| DocumentKey::from_json(kind, &id).ok());
    let keys = [Some(DocumentKey::text(kind, id)), parsed, object_id];
    keys.into_iter().flatten().collect()
}

/// Those of the keys that anyone knows.
async fn known<S: Source, Q: Queue, V: VectorStore, E>(
    ports: &Ports<'_, S, Q, V, E>,
    keys: Vec<DocumentKey>,
) -> Result<BTreeSet<DocumentKey>> {
    let manifests = ports.store.manifests(Select::Of(keys.clone())).await?;
    let mut known: BTreeSet<_> = manifests.into_iter().map(|manifest| manifest.key).collect();
    let found = read_all(ports.source, keys.clone()).await?;
    let stored = keys.iter().zip(found).filter(|(_, found)| found.is_some());
    known.extend(stored.map(|(key, _)| key.clone()));
    let parked = parked(ports.queue, |key| keys.contains(key)).await?;
    known.extend(parked);
    Ok(known)
}

/// Every document whose link or id it is.
async fn scan<S: Source, Q: Queue, V: VectorStore, E>(
    ports: &Ports<'_, S, Q, V, E>,
    wanted: &Wanted,
) -> Result<BTreeSet<DocumentKey>> {
    let mut found = BTreeSet::new();
    let mut after = None;
    loop {
        let select = Select::After { after, limit: PAGE };
        let page = ports.store.manifests(select).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        let matching = page
            .into_iter()
            .filter(|manifest| wanted.is(&manifest.key, &manifest.metadata));
        found.extend(matching.map(|manifest| manifest.key));
    }
    for kind in ports.source.kinds().await? {
        let mut after = None;
        loop {
            let page = ports.source.page(&kind, after, PAGE).await?.found;
            let Some(last) = page.last() else { break };
            after = Some(last.key.id.clone());
            let matching = page
                .into_iter()
                .filter(|document| wanted.is(&document.key, &document.fields));
            found.extend(matching.map(|document| document.key));
        }
    }
    found.extend(parked(ports.queue, |key| wanted.is(key, &Fields::new())).await?);
    Ok(found)
}

async fn parked<Q: Queue>(
    queue: &Q,
    is_wanted: impl Fn(&DocumentKey) -> bool,
) -> Result<Vec<DocumentKey>> {
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = queue.parked(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(found);
        };
        after = Some(last.id);
        let keys = page.into_iter().filter_map(|parked| parked.key);
        found.extend(keys.filter(|key| is_wanted(key)));
    }
}

fn only(text: &str, found: BTreeSet<DocumentKey>) -> Result<DocumentKey> {
    let count = found.len();
    if count > 1 {
        let mut told: Vec<String> = (found.iter().take(TOLD_MAX))
            .map(|key| format!("{}/{}", key.kind, key.id))
            .collect();
        if count > told.len() {
            told.push("…".to_owned());
        }
        let why = format!("it names {count} documents; say which: {}", told.join(", "));
        return Err(Error::Config {
            setting: text.to_owned(),
            why,
        });
    }
    found.into_iter().next().ok_or_else(|| Error::NotFound {
        what: text.to_owned(),
    })
}

/// A link or an id to be found.
struct Wanted {
    text: String,
    link: String,
    /// What a crawl of the link makes, whatever the link that is stored for people.
    keys: Vec<DocumentKey>,
}

impl Wanted {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            link: normal_link(text),
            keys: crawl::keys_of(text),
        }
    }

    fn is(&self, key: &DocumentKey, fields: &Fields) -> bool {
        let link = fields.get("link").and_then(Value::as_str);
        key.id == self.text
            || self.keys.contains(key)
            || key.entry_id() == self.text
            || link.is_some_and(|link| link == self.text || normal_link(link) == self.link)
    }
}

/// A link without what does not tell pages apart: case of the host, a default port, the fragment,
/// a slash or `.git` at the end.
fn normal_link(link: &str) -> String {
    let Ok(mut url) = Url::parse(link) else {
        return link.trim_end_matches('/').to_owned();
    };
    url.set_fragment(None);
    let link = url.as_str().trim_end_matches('/');
    link.strip_suffix(".git").unwrap_or(link).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_means_what_a_crawl_of_it_makes_and_not_what_is_said_of_it() {
        let link = "https://example.org/feed/1";
        let own: BTreeSet<_> = crawl::keys_of(link).into_iter().take(1).collect();
        let about = DocumentKey::text("posts", "a comment");
        let both = own.iter().cloned().chain([about.clone()]).collect();
        assert_eq!(meant(link, both).unwrap(), Vec::from_iter(own));
        let alone = meant(link, [about.clone()].into()).unwrap();
        assert!(alone.iter().eq([&about]));
        // Where it is neither, nobody knows which.
        let other = DocumentKey::text("posts", "another comment");
        let error = meant(link, [about, other].into()).unwrap_err().to_string();
        assert!(error.contains("say which"), "{error}");
        let parts = ["1", "2"].map(|part| DocumentKey::text(kind::REPOSITORIES, part));
        assert_eq!(meant(link, parts.clone().into()).unwrap(), parts);
    }

    fn shown(keys: &[DocumentKey]) -> Vec<&str> {
        keys.iter().map(|key| key.id.as_str()).collect()
    }

    #[test]
    fn a_type_and_an_id_spell_every_key_that_looks_so() {
        assert_eq!(shown(&spelled("posts/a/b")), ["\"a/b\""]);
        assert_eq!(
            shown(&spelled("posts/5")),
            ["\"5\"", r#"{"$numberInt":"5"}"#]
        );
        let hex = "65f0a1b2c3d4e5f6a7b8c9d0";
        let object_id = format!(r#"{{"$oid":"{hex}"}}"#);
        assert!(shown(&spelled(&format!("posts/{hex}"))).contains(&object_id.as_str()));
        assert!(shown(&spelled(&format!("posts/{object_id}"))).contains(&object_id.as_str()));
        assert!(shown(&spelled(r#"posts/"5""#)).contains(&"\"5\""));
    }

    #[test]
    fn a_type_that_stands_by_itself_may_have_anything_in_it() {
        for kind in ["team:notes", "a/b"] {
            assert_eq!(keys(kind, "c/d"), [DocumentKey::text(kind, "c/d")]);
        }
    }

    #[test]
    fn a_link_a_path_and_a_bare_id_name_no_type() {
        for text in ["https://example.org/a", "/home/a", "a", "posts/"] {
            assert!(spelled(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_link_is_known_in_its_other_spellings_and_an_id_as_it_is_shown() {
        let fields = json!({"link": "https://example.org/a/"});
        let fields = fields.as_object().unwrap();
        let key = DocumentKey::text("posts", "Id-1");
        let is = |text| Wanted::new(text).is(&key, fields);
        assert!(is("https://EXAMPLE.org:443/a#part") && is("https://example.org/a"));
        assert!(is("Id-1") && is("\"Id-1\""));
        assert!(!is("https://example.org/A") && !is("id-1") && !is("https://example.org/a?b"));
    }

    #[test]
    fn none_and_several_are_errors_that_say_so() {
        let keys: BTreeSet<_> = spelled("posts/5").into_iter().collect();
        let error = only("5", keys.clone()).unwrap_err().to_string();
        assert!(
            error.contains(r#"posts/"5""#) && error.contains("$numberInt"),
            "{error}"
        );
        let one = keys.into_iter().next().unwrap();
        assert_eq!(only("5", BTreeSet::from([one.clone()])).unwrap(), one);
        assert!(matches!(
            only("5", BTreeSet::new()),
            Err(Error::NotFound { .. })
        ));
    }
}
