//! The types of documents, as the settings have them: which fields are text, which are metadata, which
//! nobody sees, and how they are cut.
//!
//! ```text
//! defaults.toml ─┐
//!                ├─> TypeSettings of each type ──checked──> TypeSpec ──> prepare, redact, fingerprint
//! [types.<name>] ┘
//! ```
//!
//! A type is a collection of the source. The seed's three stand in `defaults.toml`, in the same form; a
//! setting replaces the default's. A type that is nowhere has the general rule.

mod again;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::prepare::FINGERPRINT;
use super::spec::{Form, TypeSpec};
use crate::document::Fields;

/// The seed's types.
const DEFAULTS: &str = include_str!("types/defaults.toml");

/// What stands in a pipeline between the program's part and the settings'.
const TYPES_MARK: &str = " types-";

/// The settings of one type; what is not given is the default of that type, or the general rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypeSettings {
    /// Top-level fields that hold text, each a string or an object of strings.
    pub text: Option<Vec<String>>,
    /// Fields that are metadata: `field`, `field as name`, or `field.inner as name`.
    pub metadata: Option<Vec<String>>,
    /// Fields that are taken out before anything else: `field`, or `field.inner` at any depth.
    pub redacted: Option<Vec<String>>,
    /// How its texts are cleaned and cut.
    pub chunking: Option<Form>,
}

/// The names of the settings of a type.
pub const SETTINGS: [&str; 4] = ["text", "metadata", "redacted", "chunking"];

/// What is known of every type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Types {
    specs: BTreeMap<String, (TypeSpec, String)>,
    general: TypeSpec,
}

impl Default for Types {
    fn default() -> Self {
        Self::seed().clone()
    }
}

impl Types {
    /// The seed's types alone.
    ///
    /// # Panics
    /// Never: the defaults are checked by a test.
    pub fn seed() -> &'static Self {
        static SEED: LazyLock<Types> = LazyLock::new(|| {
            Types::new(&BTreeMap::new()).expect("the default types should have no fault")
        });
        &SEED
    }

    /// The types with these settings.
    ///
    /// # Errors
    /// Every fault, as `types.<type>.<setting>: why`.
    pub fn new(settings: &BTreeMap<String, TypeSettings>) -> Result<Self, Vec<String>> {
        let defaults = defaults();
        let mut names: Vec<&String> = defaults.keys().chain(settings.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let (mut specs, mut faults) = (BTreeMap::new(), Vec::new());
        for name in names {
            let default = defaults.get(name).cloned().unwrap_or_default();
            let given = settings.get(name).cloned().unwrap_or_default();
            let merged = TypeSettings {
                text: given.text.or(default.text.clone()),
                metadata: given.metadata.or(default.metadata.clone()),
                redacted: given.redacted.or(default.redacted.clone()),
                chunking: given.chunking.or(default.chunking),
            };
            let fingerprint = fingerprint(&merged, defaults.get(name));
            match TypeSpec::new(&merged) {
                Ok(spec) => drop(specs.insert(name.clone(), (spec, fingerprint))),
                Err(found) => {
                    faults.extend(found.iter().map(|fault| format!("types.{name}.{fault}")));
                }
            }
        }
        let general = TypeSpec::general();
        if faults.is_empty() {
            Ok(Self { specs, general })
        } else {
            Err(faults)
        }
    }

    /// The types that are named.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.keys().map(String::as_str)
    }

    /// What decides a document's chunks beside the model: another one, and it should be indexed anew.
    pub fn fingerprint(&self, kind: &str) -> &str {
        self.specs
            .get(kind)
            .map_or(FINGERPRINT, |(_, fingerprint)| fingerprint)
    }

    /// The same of all types together: what an edition of the index is made with.
    pub fn pipeline(&self) -> String {
        let own = self
            .specs
            .iter()
            .map(|(name, (_, fingerprint))| (name, fingerprint))
            .filter(|(_, fingerprint)| *fingerprint != FINGERPRINT);
        let own: Vec<_> = own.collect();
        if own.is_empty() {
            return FINGERPRINT.to_owned();
        }
        let digest = format!("{:x}", Sha256::digest(format!("{own:?}")));
        format!("{FINGERPRINT}{TYPES_MARK}{}", &digest[..8])
    }

    /// The part of a pipeline that the program decides: its cleaner and chunker.
    pub(crate) fn program_part(pipeline: &str) -> &str {
        let parts = pipeline.split_once(TYPES_MARK);
        parts.map_or(pipeline, |(program, _)| program)
    }

    /// Takes the redacted fields out.
    pub fn redact(&self, kind: &str, fields: &mut Fields) {
        for path in self.of(kind).redacted() {
            remove(fields, path);
        }
    }

    pub(crate) fn of(&self, kind: &str) -> &TypeSpec {
        self.specs.get(kind).map_or(&self.general, |(spec, _)| spec)
    }
}

/// Removes what stands at the path, in every element of the arrays on the way.
fn remove(fields: &mut Fields, path: &str) {
    // A name may have a dot in it.
    fields.shift_remove(path);
    let Some((first, rest)) = path.split_once('.') else {
        return;
    };
    if let Some(value) = fields.get_mut(first) {
        remove_within(value, rest);
    }
}

/// An array may hold arrays.
fn remove_within(value: &mut Value, path: &str) {
    match value {
        Value::Object(fields) => remove(fields, path),
        Value::Array(elements) => elements
            .iter_mut()
            .for_each(|element| remove_within(element, path)),
        _ => {}
    }
}

fn defaults() -> BTreeMap<String, TypeSettings> {
    #[derive(Deserialize)]
    struct Defaults {
        types: BTreeMap<String, TypeSettings>,
    }
    let defaults: Defaults = toml::from_str(DEFAULTS).expect("the defaults should be settings");
    defaults.types
}

/// Unchanged settings leave an index as it is.
fn fingerprint(settings: &TypeSettings, default: Option<&TypeSettings>) -> String {
    if default == Some(settings) {
        return FINGERPRINT.to_owned();
    }
    let settings = format!("{settings:?}");
    let digest = format!("{:x}", Sha256::digest(settings));
    format!("{FINGERPRINT} type-{}", &digest[..8])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feature::prepare::Limits;

    fn types(toml: &str) -> Result<Types, Vec<String>> {
        Types::new(&toml::from_str(toml).unwrap())
    }

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).unwrap()
    }

    const NOTES: &str = "[notes]\ntext = ['body']\nmetadata = ['author_id', 'meta.title as title']\n\
                         redacted = ['secret', 'people.salary']\n";

    #[test]
    fn a_type_is_prepared_as_its_settings_say() {
        let types = types(NOTES).unwrap();
        let note = fields(json!({
            "author_id": 7, "score": 3, "meta": {"title": "T", "other": 1}, "content": "no text here",
            "body": "What is said.", "secret": "hush", "people": [{"name": "A", "salary": 5}, [[{"salary": 6}], 7]],
        }));
        let count = |text: &str| text.split_whitespace().count() + 2;
        let limits = Limits { token_max: 40 };
        let prepared = types.prepare("notes", &note, &limits, &count).unwrap();
        assert_eq!(prepared.chunks, ["What is said."]);
        assert_eq!(
            Value::Object(prepared.metadata),
            json!({"author_id": "7", "title": "T"})
        );
        let mut redacted = note.clone();
        types.redact("notes", &mut redacted);
        assert_eq!(redacted["people"], json!([{"name": "A"}, [[{}], 7]]));
        assert_eq!(redacted.get("secret"), None);
        assert_eq!(redacted.len(), note.len() - 1);
    }

    #[test]
    fn without_a_list_every_scalar_is_metadata_but_what_is_redacted() {
        let types = types("[notes]\nredacted = ['secret', 'content.hidden']\n").unwrap();
        let note = fields(json!({
            "secret": "hush", "mood": "good", "content": {"title": "T", "text": "Said.", "hidden": "hush"},
        }));
        let count = |text: &str| text.split_whitespace().count() + 2;
        let limits = Limits { token_max: 40 };
        let prepared = types.prepare("notes", &note, &limits, &count).unwrap();
        assert!(!format!("{prepared:?}").contains("hush"), "{prepared:?}");
        assert_eq!(
            Value::Object(prepared.metadata),
            json!({"mood": "good", "title": "T"})
        );
        assert_eq!(prepared.text, "Said.");
    }

    #[test]
    fn code_in_a_field_keeps_its_layout() {
        let types = types("[snippets]\ntext = ['source']\nchunking = 'code'\n").unwrap();
        let source = "fn a() {\n    b();\n\n    # c\n}\n";
        let snippet = fields(json!({"source": source}));
        let count = |text: &str| text.split_whitespace().count() + 2;
        let limits = Limits { token_max: 40 };
        let prepared = types.prepare("snippets", &snippet, &limits, &count);
        assert_eq!(prepared.unwrap().text, source.trim_end());
    }

    #[test]
    fn only_what_differs_from_the_default_has_another_fingerprint() {
        let plain = types("").unwrap();
        for kind in ["articles", "posts", "repositories", "users", "notes"] {
            assert_eq!(plain.fingerprint(kind), FINGERPRINT);
        }
        let first = types(NOTES).unwrap();
        let second = types(&NOTES.replace("'secret', ", "")).unwrap();
        assert_eq!(first.fingerprint("articles"), FINGERPRINT);
        assert_ne!(first.fingerprint("notes"), FINGERPRINT);
        assert_ne!(first.fingerprint("notes"), second.fingerprint("notes"));
        let posts = types("[posts]\nchunking = 'article'\n").unwrap();
        assert_ne!(posts.fingerprint("posts"), FINGERPRINT);
        let pipelines = [&plain, &first, &second, &posts].map(Types::pipeline);
        assert_eq!(pipelines[0], FINGERPRINT);
        for pipeline in &pipelines {
            assert_eq!(Types::program_part(pipeline), FINGERPRINT);
        }
        let different: std::collections::BTreeSet<_> = pipelines.iter().collect();
        assert_eq!(different.len(), pipelines.len());
        assert_eq!(posts.names().count(), 3);
    }

    #[test]
    fn settings_that_contradict_each_other_are_all_named() {
        let faults = types(
            "[notes]\ntext = ['body', '']\nmetadata = ['a as', 'a.b.c as d', 'pay.sum as sum']\n\
             redacted = ['body', 'pay']\n[posts]\nredacted = ['content.Title']\n",
        )
        .unwrap_err()
        .join("\n");
        for part in [
            "types.notes.text: `` is no field",
            "types.notes.metadata: `a as` is no field",
            "types.notes.metadata: `a.b.c as d` is deeper",
            "types.notes.metadata: `pay.sum as sum` is redacted",
            "types.notes.text: `body` is redacted",
            "types.posts.metadata: `content.Title as title` is redacted",
        ] {
            assert!(faults.contains(part), "{part} in {faults}");
        }
    }
}
