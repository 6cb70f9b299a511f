//! One stored person, and what documents say of whose they are. Pure.

use serde_json::Value;

use super::text;
use crate::change::DocumentKey;
use crate::document::{Document, Fields, User, kind};

/// Where names that were given up stand.
const FORMER: &str = "former_names";

/// A stored person, by us or by the seed, whose people have no `full_name`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) document: Document,
}

impl Known {
    pub(super) fn id(&self) -> String {
        self.document.key.entry_id()
    }

    pub(super) fn full_name(&self) -> String {
        let fields = &self.document.fields;
        let words = match text(fields, "full_name") {
            "" => [text(fields, "first_name"), text(fields, "last_name")].join(" "),
            name => name.to_owned(),
        };
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn former_names(&self) -> Vec<String> {
        let names = self.document.fields.get(FORMER).and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    }

    pub(super) fn user(&self) -> User {
        User::known(self.id(), self.full_name())
    }

    /// What the person is to be given to have the user's name, and be known under the names until now; none where it is
    /// so already.
    pub(super) fn renamed(&self, user: &User) -> Option<Document> {
        let mut former = self.former_names();
        former.push(self.full_name());
        former.retain(|name| !is_same(name, user.full_name()));
        former.dedup();
        let stored = &self.document.fields;
        let mut fields = user.names();
        if stored.contains_key(FORMER) || !former.is_empty() {
            fields.insert(FORMER.to_owned(), former.into());
        }
        fields.retain(|name, value| stored.get(name) != Some(value));
        let key = self.document.key.clone();
        (!fields.is_empty()).then_some(Document { key, fields })
    }
}

/// Whom the text names: by id, else by name, else by a former name.
pub(super) fn named<'a>(known: &'a [Known], asked: &str) -> Vec<&'a Known> {
    let by = |is: &dyn Fn(&Known) -> bool| known.iter().filter(|known| is(known)).collect();
    let ways: [&dyn Fn(&Known) -> bool; 3] = [
        &|known| known.id() == asked.trim(),
        &|known| is_same(&known.full_name(), asked),
        &|known| known.former_names().iter().any(|name| is_same(name, asked)),
    ];
    let found = ways.into_iter().map(by);
    found
        .into_iter()
        .find(|found: &Vec<_>| !found.is_empty())
        .unwrap_or_default()
}

/// Whether two spellings are one name: case and white space do not count.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let folded = |name: &str| {
        let words: Vec<&str> = name.split_whitespace().collect();
        words.join(" ").to_lowercase()
    };
    folded(one) == folded(other)
}

/// Whose a document is: the ids that it carries, as they are shown.
pub(super) fn author_ids(fields: &Fields) -> Vec<String> {
    let mut ids: Vec<String> = ["author_id", "owner_id"]
        .iter()
        .filter_map(|name| fields.get(*name).filter(|id| !id.is_null()))
        .filter_map(|id| DocumentKey::from_json(kind::USERS, id).ok())
        .map(|key| key.entry_id())
        .collect();
    ids.dedup();
    ids
}

/// What the user's document is to be given where it carries another name than the user's; nothing is added to
/// one that carries none.
pub(super) fn carrying(document: &Document, user: &User) -> Option<Document> {
    if !author_ids(&document.fields)
        .iter()
        .any(|id| id == user.id())
    {
        return None;
    }
    let differing =
        ["author_full_name", "owner_full_name"]
            .into_iter()
            .filter(|name| match document.fields.get(*name) {
                Some(Value::String(stored)) => stored != user.full_name(),
                _ => false,
            });
    let fields: Fields = differing
        .map(|name| (name.to_owned(), user.full_name().into()))
        .collect();
    let key = document.key.clone();
    (!fields.is_empty()).then_some(Document { key, fields })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn person(id: &str, fields: Value) -> Known {
        Known {
            document: Document {
                key: DocumentKey::text(kind::USERS, id),
                fields: serde_json::from_value(fields).unwrap(),
            },
        }
    }

    #[test]
    fn a_person_is_found_by_id_then_by_name_then_by_a_former_name() {
        let known = [
            person(
                "1",
                json!({"full_name": "Ada King", "former_names": ["Ada Lovelace", "3"]}),
            ),
            person("2", json!({"first_name": "Ada", "last_name": "Lovelace"})),
            person("3", json!({"full_name": "Plato"})),
        ];
        let ids = |asked| {
            named(&known, asked)
                .iter()
                .map(|known| known.id())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids("ada  KING"), ["1"]);
        assert_eq!(ids("Ada Lovelace"), ["2"], "who has a name now comes first");
        assert_eq!(ids("3"), ["3"]);
        assert_eq!(ids("plato"), ["3"]);
        assert!(ids("Ada").is_empty());
    }

    #[test]
    fn a_rename_gives_names_alone_and_remembers_each_once() {
        let known = person(
            "1",
            json!({"full_name": "Ada", "mail": "a@b", "former_names": ["Ada"]}),
        );
        let long = User::known("1".into(), "Ada King Lovelace".into());
        let given = known.renamed(&long).unwrap();
        let expected = json!({
            "full_name": "Ada King Lovelace", "first_name": "Ada", "last_name": "King Lovelace",
        });
        assert_eq!(Value::Object(given.fields.clone()), expected);
        let mut renamed = known;
        renamed.document.fields.extend(given.fields);
        assert_eq!(renamed.renamed(&long), None);
        let back = renamed.renamed(&User::known("1".into(), "ada".into()));
        assert_eq!(
            back.unwrap().fields["former_names"],
            json!(["Ada King Lovelace"])
        );
    }

    #[test]
    fn only_documents_of_the_person_that_carry_a_name_get_the_new_one() {
        let user = User::known("65f0a1b2c3d4e5f6a7b8c9d0".into(), "New".into());
        let document = |fields: Value| Document {
            key: DocumentKey::text("posts", "p"),
            fields: serde_json::from_value(fields).unwrap(),
        };
        let id = json!({"$oid": user.id()});
        let theirs = document(json!({"owner_id": id, "owner_full_name": "Old", "text": "t"}));
        let given = carrying(&theirs, &user).unwrap().fields;
        assert_eq!(Value::Object(given), json!({"owner_full_name": "New"}));
        for fields in [
            json!({"author_id": id}),
            json!({"author_id": id, "author_full_name": "New"}),
            json!({"author_id": "other", "author_full_name": "Old"}),
        ] {
            assert_eq!(carrying(&document(fields), &user), None);
        }
    }
}
