//! A type that stands in the configuration file alone.

use std::path::Path;

use lockstep::change::DocumentKey;
use lockstep::document::Document;
use lockstep::source::Source as _;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use crate::support::binary::{Ended, ended, program};
use crate::support::export::{Rooms, hash_model};

const SETTINGS: &str = "
[types.notes]
text = ['body']
metadata = ['author_id', 'heading as title']
redacted = ['private', 'people.salary']
chunking = 'prose'
";

/// What nobody may find anywhere.
const SECRET: &str = "hush4711";

fn note(body: &Value) -> Value {
    json!({
        "author_id": "ada", "heading": "On looms", "body": body,
        "private": format!("{SECRET} is what I think"),
        "people": [{"name": "Charles", "salary": SECRET}, [{"salary": SECRET}]],
    })
}

/// Writes a note into the source, as an application would, or deletes it.
async fn store(data: &Path, id: &str, fields: Option<Value>) {
    let rooms = Rooms::open(data, &hash_model()).await.unwrap();
    let key = DocumentKey::text("notes", id);
    match fields {
        Some(fields) => {
            let fields = serde_json::from_value(fields).unwrap();
            let note = Document { key, fields };
            rooms.source.save(vec![note]).await.unwrap();
        }
        None => assert_eq!(rooms.source.delete(vec![key]).await.unwrap(), 1),
    }
}

/// Runs a command that logs everything, and looks for the secret in what it says.
fn run(data: &Path, arguments: &[&str]) -> Ended {
    let mut program = program(data);
    let program = program.env("LOCKSTEP_LOG_FILTER", "trace").args(arguments);
    let ended = ended(program.output().unwrap());
    assert!(!ended.error.contains(SECRET), "{}", ended.error);
    assert!(!ended.out.contains(SECRET), "{}", ended.out);
    ended
}

/// The notes that answer, each with its title and its first passage.
fn search(data: &Path, question: &str) -> Vec<(String, String)> {
    let ended = run(data, &["search", question, "--type", "notes", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    let hits = answer["hits"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    hits.map(|hit| (text(&hit["title"]), text(&hit["passages"][0]["content"])))
        .collect()
}

/// Everything that is kept beside the source's own two tables.
fn kept(data: &Path) -> Vec<(String, Vec<u8>)> {
    let database = Connection::open(data.join("lockstep.db")).unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'
        AND name NOT IN ('documents', 'change_log')";
    let mut tables = database.prepare(tables).unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut kept = Vec::new();
    for table in tables.map(Result::unwrap) {
        let mut rows = database
            .prepare(&format!("SELECT * FROM \"{table}\""))
            .unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = row.get_ref(column).unwrap()
                {
                    kept.push((table.clone(), bytes.to_owned()));
                }
            }
        }
    }
    files(&data.join("vectors"), &mut kept);
    kept
}

fn files(folder: &Path, kept: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), kept);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            kept.push((entry.path().display().to_string(), bytes));
        }
    }
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// Where the text is kept beside the source.
fn places(data: &Path, text: &str) -> Vec<String> {
    let kept = kept(data).into_iter();
    let found = kept.filter(|(_, bytes)| has(bytes, text));
    found.map(|(place, _)| place).collect()
}

#[tokio::test]
async fn a_collection_of_the_file_is_found_edited_deleted_and_its_redacted_fields_are_nowhere() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    std::fs::write(data.join("lockstep.toml"), SETTINGS).unwrap();
    store(
        data,
        "a",
        Some(note(&json!("The loom weaves flowers and leaves."))),
    )
    .await;
    store(
        data,
        "b",
        Some(note(&json!("Tomatoes want sun and a trellis."))),
    )
    .await;
    // Its text is none, so it is parked: what is parked is seen by people.
    store(data, "c", Some(note(&json!(5)))).await;

    let found = search(data, "flowers and leaves of the loom");
    assert_eq!(found.len(), 2);
    let weaves = (
        "On looms".to_owned(),
        "The loom weaves flowers and leaves.".to_owned(),
    );
    assert_eq!(found[0], weaves);
    let parked = run(data, &["parked", "list", "--json"]);
    assert!(parked.out.contains("field body"), "{parked:?}");
    assert!(
        !places(data, "On looms").is_empty(),
        "the search for places should find some"
    );
    assert_eq!(places(data, SECRET), Vec::<String>::new());

    store(
        data,
        "a",
        Some(note(&json!("Ships wait for the tide at the bar."))),
    )
    .await;
    store(data, "b", None).await;
    let found = search(data, "ships wait for the tide");
    assert_eq!(
        found,
        [(
            "On looms".to_owned(),
            "Ships wait for the tide at the bar.".to_owned()
        )]
    );
    assert_eq!(places(data, SECRET), Vec::<String>::new());

    let verified = run(data, &["verify", "--vectors", "--json"]);
    let report: Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(
        (&report["clean"], &report["outdated"]),
        (&json!(true), &json!(0))
    );
    // Other settings of the type: what they made is outdated, and reading it again makes it new.
    let other = SETTINGS.replace("'prose'", "'article'");
    std::fs::write(data.join("lockstep.toml"), other).unwrap();
    let outdated = || {
        let ended = run(data, &["verify", "--json"]);
        let report: Value = serde_json::from_str(&ended.out).unwrap();
        report["outdated"].clone()
    };
    assert_eq!(outdated(), json!(1));
    // Each document knows it; of the index as a whole there is nothing to say.
    let status = run(data, &["status", "--json"]);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["index"]["note"], Value::Null, "{status}");
    assert_eq!(status["index"]["edition"], 1, "{status}");
    run(data, &["resync", "notes"]);
    assert_eq!(outdated(), json!(0));
}
