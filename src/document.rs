//! What is stored in the source: documents of the seed's shapes. No IO.
//!
//! A document is a key and its fields as extended JSON, in the order in which they were stored.
//! The seed's types, whose fields the builders here make:
//!
//! | type | fields |
//! |---|---|
//! | `articles` | `platform`, `link`, `content` {`Title`, `Subtitle`, `Content`, `language`}, `author_id`, `author_full_name`, `byline`, `published_at`, `modified_at`, `partial`, `reaction_count`, `comment_count` |
//! | `posts` | `platform`, `link`, `content` {`Content`}, `author_id`, `author_full_name`, `byline`, `published_at`, `modified_at`, `reaction_count`, `comment_count` |
//! | `repositories` | `platform`, `name`, `link`, `content` {path → text}, `languages` {path → language}, `owner_id`, `owner_full_name` |
//! | `users` | `first_name`, `last_name`, `full_name` |
//!
//! What was crawled also carries `crawl_root`: the link of the folder, repository or page it was
//! found under. It is bookkeeping of the crawler and no metadata of the document.

mod build;
mod language;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::change::DocumentKey;

pub use build::{Article, Part, Post, Repository, User, key_of_link};

/// The fields of a document without its `_id`.
pub type Fields = Map<String, Value>;

/// A document as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Type and `_id`.
    #[serde(flatten)]
    pub key: DocumentKey,
    /// Everything but the `_id`.
    pub fields: Fields,
}

/// The field that names where a crawled document was found: one link, or a list where one crawl's folder lies in
/// another's.
pub const CRAWL_ROOT: &str = "crawl_root";

/// The links under which a document was found; none where no crawl brought it.
pub fn crawl_roots(fields: &Fields) -> impl Iterator<Item = &str> {
    let several = fields.get(CRAWL_ROOT).and_then(Value::as_array);
    let one = fields.get(CRAWL_ROOT).and_then(Value::as_str);
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several)
}

/// The seed's types.
pub mod kind {
    /// Pages and blog articles.
    pub const ARTICLES: &str = "articles";
    /// Posts in social networks.
    pub const POSTS: &str = "posts";
    /// Source code.
    pub const REPOSITORIES: &str = "repositories";
    /// The people whose documents these are.
    pub const USERS: &str = "users";
}

/// The namespace of author ids; pinned, since a change would make every author a new one.
const AUTHOR_NAMESPACE: Uuid = Uuid::from_u128(0x6c6f_636b_7374_6570_9f1d_3c52_70a1_0002);

/// The id of the author with this full name: `UUIDv5` of the name without regard to case and to
/// the spaces around and between its words.
pub fn author_id(full_name: &str) -> String {
    let words: Vec<&str> = full_name.split_whitespace().collect();
    Uuid::new_v5(&AUTHOR_NAMESPACE, words.join(" ").to_lowercase().as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::author_id;

    #[test]
    fn a_name_has_one_id_however_it_is_spaced_and_capitalised() {
        assert_eq!(author_id("Ada Lovelace"), author_id("  ada\tLOVELACE "));
        assert_ne!(author_id("Ada Lovelace"), author_id("Adal Ovelace"));
    }
}
