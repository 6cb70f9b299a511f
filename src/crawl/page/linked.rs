//! What a page says of itself in JSON-LD, as far as it is about an article. Pure.

use dom_query::Document;
use serde_json::Value;

/// Blocks of data a page may have; more is not read.
const BLOCKS_MAX: usize = 50;
/// Objects of all blocks that are looked at.
const OBJECTS_MAX: usize = 1_000;

/// The objects that a page describes, articles first.
pub(crate) struct Linked(Vec<Value>);

impl Linked {
    /// Reads every block; one that is no JSON is passed over.
    pub(crate) fn read(document: &Document) -> Self {
        let mut objects = Vec::new();
        for script in document
            .select("script[type*='ld+json']")
            .iter()
            .take(BLOCKS_MAX)
        {
            if let Ok(value) = serde_json::from_str(script.text().trim()) {
                flatten(value, &mut objects);
            }
        }
        objects.sort_by_key(|object| !is_article(object));
        Self(objects)
    }

    /// The first text under one of these names, of an article if there is one.
    pub(super) fn text(&self, names: &[&str]) -> Option<String> {
        let of = |object: &Value| names.iter().find_map(|name| said(object.get(*name)?));
        self.articles().find_map(of)
    }

    /// The first object of one of these types.
    pub(crate) fn of_type(&self, kinds: &[&str]) -> Option<&Value> {
        let is = |object: &&Value| {
            let kind = object.get("@type").and_then(Value::as_str);
            kind.is_some_and(|kind| kinds.contains(&kind))
        };
        self.0.iter().find(is)
    }

    /// Whether the page says that it can be read for free; nothing where it does not say.
    pub(super) fn is_free(&self) -> Option<bool> {
        self.articles()
            .find_map(|object| match object.get("isAccessibleForFree")? {
                Value::Bool(free) => Some(*free),
                Value::String(text) => Some(!text.eq_ignore_ascii_case("false")),
                _ => None,
            })
    }

    fn articles(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(|object| is_article(object))
    }
}

/// Puts an object, and the objects of lists and graphs, one after the other.
fn flatten(value: Value, objects: &mut Vec<Value>) {
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        if objects.len() >= OBJECTS_MAX {
            return;
        }
        match value {
            Value::Array(values) => waiting.extend(values.into_iter().rev()),
            Value::Object(mut object) => {
                waiting.extend(object.remove("@graph"));
                waiting.extend(object.get("mainEntity").cloned());
                objects.push(Value::Object(object));
            }
            _ => {}
        }
    }
}

fn is_article(object: &Value) -> bool {
    let is = |kind: &Value| {
        kind.as_str().is_some_and(|kind| {
            ["Article", "Posting", "Report", "WebPage"]
                .iter()
                .any(|end| kind.ends_with(end))
        })
    };
    match object.get("@type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is),
        Some(kind) => is(kind),
        None => false,
    }
}

/// A text, the name of an object, or those of several.
fn said(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => super::one_line(text),
        Value::Object(object) => super::one_line(object.get("name")?.as_str()?),
        Value::Array(values) => {
            let names: Vec<String> = values.iter().take(20).filter_map(said).collect();
            names.join(", ")
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(json: &str) -> Linked {
        let html = format!("<script type='application/ld+json'>{json}</script>");
        Linked::read(&Document::from(html))
    }

    #[test]
    fn an_article_is_found_alone_in_a_list_and_in_a_graph() {
        let article = r#"{"@type":["NewsArticle"],"headline":" A  b "}"#;
        let other = r#"{"@type":"Organization","headline":"no"}"#;
        for json in [
            article.to_owned(),
            format!("[{other},{article}]"),
            format!("{{\"@graph\":[{other},{article}]}}"),
        ] {
            assert_eq!(linked(&json).text(&["headline"]).as_deref(), Some("A b"));
        }
    }

    #[test]
    fn the_first_of_a_type_is_found() {
        let linked = linked(r#"[{"@type":"Person","a":1},{"@type":"VideoObject","a":2}]"#);
        let found = linked.of_type(&["Article", "VideoObject"]).unwrap();
        assert_eq!(found["a"], 2);
        assert!(linked.of_type(&["Article"]).is_none());
    }

    #[test]
    fn authors_are_named_however_they_are_given() {
        for (author, name) in [
            (r#""Ada""#, "Ada"),
            (r#"{"@type":"Person","name":"Ada"}"#, "Ada"),
            (r#"[{"name":"Ada"},"Grace"]"#, "Ada, Grace"),
        ] {
            let json = format!(r#"{{"@type":"BlogPosting","author":{author}}}"#);
            assert_eq!(linked(&json).text(&["author"]).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_broken_says_nothing() {
        for json in [
            "",
            "{",
            "[[[",
            "null",
            r#"{"@type":"Article","author":[{}]}"#,
        ] {
            let linked = linked(json);
            assert_eq!(linked.text(&["author"]), None);
            assert_eq!(linked.is_free(), None);
        }
    }
}
