//! A test collection in BEIR's form.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use lockstep::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A document.
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) title: String,
    pub(crate) text: String,
}

/// A question.
#[derive(Debug, Deserialize)]
pub(crate) struct Question {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) text: String,
}

/// How well documents answer a question; those not named do not.
pub(crate) type Grades = HashMap<String, f64>;

/// All of it.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) documents: Vec<Document>,
    /// Those that anything answers.
    pub(crate) questions: Vec<Question>,
    /// By question.
    pub(crate) grades: BTreeMap<String, Grades>,
}

impl Collection {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let documents: Vec<Document> = lines(&folder.join("corpus.jsonl"))?;
        let mut questions: Vec<Question> = lines(&folder.join("queries.jsonl"))?;
        let known: HashSet<&str> = documents.iter().map(|one| one.id.as_str()).collect();
        let mut grades: BTreeMap<String, Grades> = BTreeMap::new();
        let path = folder.join("qrels/test.tsv");
        for (line, number) in read(&path)?.lines().zip(1..).skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [question, document, grade] = fields[..] else {
                return Err(malformed(
                    &path,
                    number,
                    "three fields with tabs between them",
                ));
            };
            let grade: f64 = grade
                .trim()
                .parse()
                .map_err(|_| malformed(&path, number, "a number in the third field"))?;
            if grade > 0.0 && known.contains(document) {
                let of_question = grades.entry(question.to_owned()).or_default();
                of_question.insert(document.to_owned(), grade);
            }
        }
        questions.retain(|question| grades.contains_key(&question.id));
        Ok(Self {
            documents,
            questions,
            grades,
        })
    }

    pub(crate) fn has_titles(&self) -> bool {
        self.documents.iter().any(|one| !one.title.is_empty())
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::Data {
        path: path.to_owned(),
        why: format!("{error}; docs/benchmarks.md says what is in a collection"),
    })
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read(path)?;
    let filled = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    let parsed = filled.map(|(line, number)| {
        serde_json::from_str(line).map_err(|error| malformed(path, number, &error.to_string()))
    });
    parsed.collect()
}

fn malformed(path: &Path, line: usize, why: &str) -> Error {
    Error::malformed(format!("line {line} of {}", path.display()), why)
}
