//! Builds documents of the seed's types; equal facts give equal documents with equal keys. Pure.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::language::language;
use super::{CRAWL_ROOT, Document, Fields, author_id, kind};
use crate::change::DocumentKey;

/// The key of a crawled document: its `_id` is the `UUIDv5` (URL namespace) of its link, as text.
///
/// Short, of one length whatever the link, and the same at every crawl.
pub fn key_of_link(kind: &str, link: &str) -> DocumentKey {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, link.as_bytes());
    DocumentKey::text(kind, &id.to_string())
}

/// A person whose documents are crawled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    id: String,
    full_name: String,
}

impl User {
    /// A person nobody has heard of yet, by full name of any number of words; runs of white space
    /// count as one space. None for an empty name.
    ///
    /// The id is [`author_id`]'s: "Ada Lovelace" and "ada  lovelace" are one person.
    pub fn new(full_name: &str) -> Option<Self> {
        let words: Vec<&str> = full_name.split_whitespace().collect();
        let full_name = words.join(" ");
        (!full_name.is_empty()).then(|| Self::known(author_id(&full_name), full_name))
    }

    /// A person who is stored, and keeps this id whatever the name becomes.
    pub fn known(id: String, full_name: String) -> Self {
        Self { id, full_name }
    }

    /// The name, with single spaces.
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// What their documents carry as `author_id` or `owner_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The stored form of somebody new.
    pub fn document(&self) -> Document {
        Document {
            key: DocumentKey::text(kind::USERS, &self.id),
            fields: self.names(),
        }
    }

    /// The name as it is stored: the first word is the first name, the rest, if any, the last name.
    pub fn names(&self) -> Fields {
        let (first, last) = self
            .full_name
            .split_once(' ')
            .unwrap_or((&self.full_name, ""));
        object(json!({
            "first_name": first, "last_name": last, "full_name": self.full_name,
        }))
    }
}

/// A page as it is stored under `articles`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Article {
    /// Where it came from: `web`, or `file` for a page read from disk.
    pub platform: &'static str,
    /// What the `_id` follows from: the page's own address.
    pub identity: String,
    /// The canonical link, for people.
    pub link: String,
    /// The title.
    pub title: String,
    /// The page's own description of itself, or nothing.
    pub subtitle: String,
    /// The main text as Markdown.
    pub text: String,
    /// BCP 47, as the page says it.
    pub language: Option<String>,
    /// Who wrote it, as the page says it.
    pub byline: Option<String>,
    /// As the page says it, usually RFC 3339.
    pub published_at: Option<String>,
    /// As the page says it, usually RFC 3339.
    pub modified_at: Option<String>,
    /// Whether the text is only what stands before a paywall.
    pub partial: bool,
    /// Further metadata: `reaction_count`, `comment_count`.
    pub extra: Fields,
}

impl Article {
    /// The stored form. What the page does not say is left out.
    pub fn document(self, author: &User, root: &str) -> Document {
        let mut content = object(json!({
            "Title": self.title, "Subtitle": self.subtitle, "Content": self.text,
        }));
        put(&mut content, "language", self.language);
        let mut fields = object(json!({
            "platform": self.platform,
            "link": self.link,
            "content": content,
            "author_id": author.id(),
            "author_full_name": author.full_name(),
        }));
        put(&mut fields, "byline", self.byline);
        put(&mut fields, "published_at", self.published_at);
        put(&mut fields, "modified_at", self.modified_at);
        if self.partial {
            fields.insert("partial".to_owned(), Value::from(true));
        }
        fields.extend(self.extra);
        put(&mut fields, CRAWL_ROOT, Some(root.to_owned()));
        Document {
            key: key_of_link(kind::ARTICLES, &self.identity),
            fields,
        }
    }
}

/// A post in a social network as it is stored under `posts`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Post {
    /// Where it came from, as `linkedin`.
    pub platform: &'static str,
    /// What the `_id` follows from: one for all links of the post.
    pub identity: String,
    /// The link, for people.
    pub link: String,
    /// The text.
    pub text: String,
    /// Who wrote it, as the page says it.
    pub byline: Option<String>,
    /// Usually RFC 3339.
    pub published_at: Option<String>,
    /// Usually RFC 3339.
    pub modified_at: Option<String>,
    /// Further metadata.
    pub extra: Fields,
}

impl Post {
    /// The stored form. What is not known is left out.
    pub fn document(self, author: &User, root: &str) -> Document {
        let mut fields = object(json!({
            "platform": self.platform,
            "link": self.link,
            "content": {"Content": self.text},
            "author_id": author.id(),
            "author_full_name": author.full_name(),
        }));
        put(&mut fields, "byline", self.byline);
        put(&mut fields, "published_at", self.published_at);
        put(&mut fields, "modified_at", self.modified_at);
        fields.extend(self.extra);
        put(&mut fields, CRAWL_ROOT, Some(root.to_owned()));
        Document {
            key: key_of_link(kind::POSTS, &self.identity),
            fields,
        }
    }
}

/// What all parts of one repository share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `github`, `git`, or `folder` for a source folder without history.
    pub platform: &'static str,
    /// Its short name.
    pub name: String,
    /// Its link, for people.
    pub link: String,
    /// What the `_id` follows from, and the root it is crawled under: one for all spellings of the link.
    pub identity: String,
}

/// Some files of a repository: one document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Counted from zero; nearly every repository has only that one.
    pub number: usize,
    /// Path → text, sorted by path.
    pub files: Map<String, Value>,
}

impl Repository {
    /// The key of a part. The first is known by the identity alone, part n by `identity#n`.
    pub fn key(identity: &str, number: usize) -> DocumentKey {
        match number {
            0 => key_of_link(kind::REPOSITORIES, identity),
            number => key_of_link(kind::REPOSITORIES, &format!("{identity}#{}", number + 1)),
        }
    }

    /// The stored form of one part.
    pub fn document(&self, Part { number, files }: Part, owner: &User) -> Document {
        let languages: Fields = (files.keys())
            .filter_map(|path| Some((path.clone(), language(path)?.into())))
            .collect();
        let mut fields = object(json!({
            "platform": self.platform,
            "name": self.name,
            "link": self.link,
            "content": files,
            "languages": languages,
            "owner_id": owner.id(),
            "owner_full_name": owner.full_name(),
        }));
        put(&mut fields, CRAWL_ROOT, Some(self.identity.clone()));
        Document {
            key: Self::key(&self.identity, number),
            fields,
        }
    }
}

fn put(fields: &mut Fields, name: &str, value: Option<String>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), Value::from(value));
    }
}

fn object(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_three_or_more_words_do_not_break() {
        let parts = |name| {
            let fields = User::new(name).unwrap().document().fields;
            let text = |field: &str| fields[field].as_str().unwrap().to_owned();
            (text("first_name"), text("last_name"), text("full_name"))
        };
        let pair = |first: &str, last: &str, full: &str| {
            (first.to_owned(), last.to_owned(), full.to_owned())
        };
        assert_eq!(parts("Plato"), pair("Plato", "", "Plato"));
        assert_eq!(
            parts(" Ada  King\tLovelace "),
            pair("Ada", "King Lovelace", "Ada King Lovelace")
        );
        assert_eq!(User::new("  "), None);
    }

    #[test]
    fn case_and_spacing_make_no_second_person() {
        let id = |name| User::new(name).unwrap().id().to_owned();
        assert_eq!(id("Ada Lovelace"), id("ada   LOVELACE"));
        assert_ne!(id("Ada Lovelace"), id("Ada King"));
    }

    #[test]
    fn a_page_is_stored_in_the_seeds_shape_and_says_only_what_it_knows() {
        let article = Article {
            platform: "web",
            identity: "https://example.org/a".into(),
            link: "https://example.org/a".into(),
            title: "T".into(),
            text: "body".into(),
            ..Article::default()
        };
        let document = article.document(&User::new("A B").unwrap(), "root");
        let names: Vec<&str> = document.fields.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "platform",
                "link",
                "content",
                "author_id",
                "author_full_name",
                "crawl_root"
            ]
        );
        assert_eq!(document.fields["content"]["Content"], "body");
        assert_eq!(
            document.key,
            key_of_link("articles", "https://example.org/a")
        );
    }
}
