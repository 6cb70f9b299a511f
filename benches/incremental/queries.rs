//! Questions that a text's own structure answers, each with the passage that does.
//!
//! A section of a text is the answer to its heading, to its first sentence, and to every other word of
//! that sentence. It is known who wrote these judgements: nobody. A section elsewhere that answers as
//! well counts as wrong, and the words of the question mostly stand in the passage, so the figures say
//! how two ways of cutting differ and not how good a search is for people.

use std::collections::HashMap;
use std::ops::Range;

/// A heading needs so many words to be a question.
const HEADING_WORDS: usize = 3;
/// A first sentence needs so many.
const SENTENCE_WORDS: usize = 6;
/// A section needs so many bytes below its heading to be an answer.
const SECTION_BYTES: usize = 200;

/// How a question was made of its section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Heading,
    Sentence,
    Half,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Heading, Self::Sentence, Self::Half];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Heading => "heading",
            Self::Sentence => "first sentence",
            Self::Half => "every other word",
        }
    }
}

/// A question, and the text and span that answer it.
pub(crate) struct Question {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) document: usize,
    pub(crate) gold: Range<usize>,
}

/// The questions of some texts; a heading that stands twice asks nothing.
pub(crate) fn questions(texts: &[String]) -> Vec<Question> {
    let mut times: HashMap<String, usize> = HashMap::new();
    let sections: Vec<Vec<Section<'_>>> = texts.iter().map(|text| sections(text)).collect();
    for section in sections.iter().flatten() {
        *times.entry(section.heading.to_lowercase()).or_default() += 1;
    }
    let mut questions = Vec::new();
    for (document, sections) in sections.iter().enumerate() {
        for section in sections {
            let body = texts[document][section.body.clone()].trim();
            if times[&section.heading.to_lowercase()] > 1 || body.len() < SECTION_BYTES {
                continue;
            }
            let mut ask = |kind, text: String, words| {
                if text.split_whitespace().count() >= words {
                    questions.push(Question {
                        kind,
                        text,
                        document,
                        gold: section.body.clone(),
                    });
                }
            };
            ask(Kind::Heading, section.heading.to_owned(), HEADING_WORDS);
            let sentence = first_sentence(body);
            ask(Kind::Sentence, sentence.clone(), SENTENCE_WORDS);
            let half: Vec<&str> = sentence.split_whitespace().step_by(2).collect();
            ask(Kind::Half, half.join(" "), SENTENCE_WORDS / 2);
        }
    }
    questions
}

struct Section<'a> {
    heading: &'a str,
    /// From behind its heading to the next one.
    body: Range<usize>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let (mut at, mut fenced) = (0, false);
    for line in text.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```");
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        if !fenced && (1..=6).contains(&level) && line[level..].starts_with(' ') {
            if let Some(last) = sections.last_mut() {
                last.body.end = at;
            }
            sections.push(Section {
                heading: line[level..].trim(),
                body: at + line.len()..text.len(),
            });
        }
        at += line.len();
    }
    sections
}

/// The first sentence of the first paragraph that looks like prose.
fn first_sentence(body: &str) -> String {
    let prose = |block: &&str| block.starts_with(char::is_alphabetic);
    let block = body.split("\n\n").find(prose).unwrap_or_default();
    let line = block.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.find(". ").map_or(line.len(), |at| at + 1);
    line[..end].to_owned()
}
