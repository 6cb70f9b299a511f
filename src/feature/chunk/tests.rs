//! Promises of the chunker over generated documents.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::document::{Fields, kind};
use crate::feature::prepare::prepare;

const LIMITS: Limits = Limits { token_max: 256 };

/// Words of six letters and marks, each a token, and two special ones.
fn count(text: &str) -> usize {
    let mut tokens = 2;
    let mut letters = 0_usize;
    for character in text.chars() {
        if character.is_alphanumeric() {
            tokens += usize::from(letters.is_multiple_of(6));
            letters += 1;
        } else {
            tokens += usize::from(!character.is_whitespace());
            letters = 0;
        }
    }
    tokens
}

fn section(text: &str, path: &str) -> Section {
    Section {
        path: path.to_owned(),
        code: path.contains(".rs"),
        text: text.to_owned(),
    }
}

fn texts(section: &Section, limits: Limits) -> Vec<String> {
    let chunks = chunk(section, limits, &count).unwrap();
    chunks.iter().map(|chunk| chunk.text(section)).collect()
}

fn visible(text: &str) -> String {
    text.split_whitespace().collect()
}

/// A small generator, since the documents below are named by their seeds.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn paragraph(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.roll(8) {
            for index in 0..4 + self.roll(20) {
                let word: String = (0..2 + self.roll(8))
                    .map(|_| char::from(b'a' + u8::try_from(self.roll(26)).unwrap()))
                    .collect();
                let word = if index == 0 {
                    word.to_uppercase()
                } else {
                    word
                };
                text.push_str(&word);
                text.push(' ');
            }
            text.pop();
            text.push_str(". ");
        }
        text.trim_end().to_owned()
    }

    /// Blocks of a page; about one in `headings` is a heading.
    fn page(&mut self, blocks: usize, headings: usize) -> Vec<String> {
        let block = |dice: &mut Self| match dice.roll(headings) {
            0 => format!("{} {}", "#".repeat(2 + dice.roll(3)), dice.roll(1000)),
            _ => dice.paragraph(),
        };
        (0..blocks).map(|_| block(self)).collect()
    }
}

/// How many texts of `after` were not in `before`.
fn embedded(before: &[String], after: &[String]) -> usize {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for text in before {
        *known.entry(text).or_default() += 1;
    }
    let is_new = |text: &&String| match known.get_mut(text.as_str()) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    after.iter().filter(is_new).count()
}

/// New chunks of each of many single edits.
fn edits(headings: usize, edit: impl Fn(&mut Dice, &mut Vec<String>, usize)) -> Vec<usize> {
    let mut costs = Vec::new();
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let page = dice.page(120, headings);
        let before = texts(&section(&page.join("\n\n"), ""), LIMITS);
        for _ in 0..10 {
            let mut edited = page.clone();
            let at = loop {
                let at = dice.roll(page.len());
                if !page[at].starts_with('#') {
                    break at;
                }
            };
            edit(&mut dice, &mut edited, at);
            let after = texts(&section(&edited.join("\n\n"), ""), LIMITS);
            costs.push(embedded(&before, &after));
        }
    }
    costs
}

fn assert_local(name: &str, costs: &[usize]) {
    let mean = costs.iter().sum::<usize>() * 100 / costs.len();
    let over = costs.iter().filter(|cost| **cost > 3).count();
    let most = costs.iter().max().unwrap();
    println!(
        "{name}: mean {mean} hundredths, most {most}, over three {over} of {}",
        costs.len()
    );
    assert!(mean < 200, "{name}: mean {mean}");
    assert!(
        over * 25 <= costs.len(),
        "{name}: {over} of {} over three",
        costs.len()
    );
    assert!(*most <= 6, "{name}: {most}");
}

#[test]
fn an_edit_changes_only_its_neighbours() {
    for headings in [8, usize::MAX] {
        assert_local(
            "edit",
            &edits(headings, |dice, page, at| page[at] = dice.paragraph()),
        );
        let word = |_: &mut Dice, page: &mut Vec<String>, at: usize| page[at].insert_str(3, "x y");
        assert_local("word", &edits(headings, word));
        let insert =
            |dice: &mut Dice, page: &mut Vec<String>, at| page.insert(at, dice.paragraph());
        assert_local("insert", &edits(headings, insert));
        assert_local(
            "remove",
            &edits(headings, |_, page, at| drop(page.remove(at))),
        );
    }
}

#[test]
fn chunks_are_well_filled() {
    for headings in [8, usize::MAX] {
        let page = Dice(7).page(600, headings).join("\n\n");
        let chunks = texts(&section(&page, ""), LIMITS);
        let tokens: usize = chunks.iter().map(|text| count(text)).sum();
        let mean = tokens / chunks.len();
        println!("{mean} tokens a chunk, {} chunks", chunks.len());
        assert!(mean > 150, "{mean} tokens a chunk");
    }
}

#[test]
fn a_heading_begins_a_chunk_and_is_a_prefix_of_the_next_ones() {
    let words = |name: &str, words: usize| format!("{name} ").repeat(words);
    let text = format!(
        "# Title\n\n{}\n\n## Threads\n\n{}\n\n### Tiny\n\nSmall.\n\n## Channels\n\n{}",
        words("one", 100),
        words("two", 300),
        words("three", 100),
    );
    let chunks = texts(&section(&text, ""), LIMITS);
    assert!(chunks[0].starts_with("# Title\n\none"), "{chunks:?}");
    assert!(chunks[1].starts_with("## Threads\n\ntwo"), "{chunks:?}");
    assert!(chunks[2].starts_with("Threads\n\ntwo"), "{chunks:?}");
    assert!(chunks[2].ends_with("### Tiny\n\nSmall."), "{chunks:?}");
    assert!(chunks[3].starts_with("## Channels\n\nthree"), "{chunks:?}");
    assert_eq!(chunks.len(), 4);
}

#[test]
fn code_is_cut_between_items_under_its_path_and_signature() {
    let line = "        let value = compute(argument, other);\n";
    let function = |name: &str| format!("fn {name}() {{\n{}}}\n", line.repeat(12));
    let text = format!(
        "{}\n{}\nimpl A {{\n{}}}",
        function("a"),
        function("b"),
        line.repeat(60)
    );
    let chunks = texts(&section(text.trim_end(), "src/a.rs"), LIMITS);
    assert!(chunks[0].starts_with("src/a.rs\n\nfn a() {"), "{chunks:?}");
    assert!(chunks[1].starts_with("src/a.rs\n\nfn b() {"), "{chunks:?}");
    assert!(chunks[2].starts_with("src/a.rs\n\nimpl A {"), "{chunks:?}");
    assert!(
        chunks[3].starts_with("src/a.rs > impl A\n\n        let"),
        "{chunks:?}"
    );
}

#[test]
fn a_word_or_a_line_of_any_length_is_cut() {
    for text in [
        "x".repeat(50_000),
        "界".repeat(5_000),
        "ab,".repeat(20_000),
        "=".repeat(3_000),
    ] {
        for path in ["", "data.rs"] {
            let chunks = texts(&section(&text, path), LIMITS);
            assert!(chunks.len() > 3);
            assert!(
                chunks
                    .iter()
                    .all(|text| count(text) <= 256 && text.len() <= 4_096)
            );
        }
    }
}

#[test]
fn a_tokenizer_that_is_not_additive_is_still_within_its_limit() {
    let count = |text: &str| count(text) + text.matches(". ").count() * 5;
    let text = Dice(1).page(50, 8).join("\n\n");
    let section = section(&text, "notes/a.md");
    let chunks = chunk(&section, LIMITS, &count).unwrap();
    assert!(
        chunks
            .iter()
            .all(|chunk| count(&chunk.text(&section)) <= 256)
    );
    let joined: String = chunks
        .iter()
        .map(|chunk| &text[chunk.range.clone()])
        .collect();
    assert_eq!(visible(&joined), visible(&text));
}

#[test]
fn a_large_document_asks_for_few_counts() {
    let text = Dice(3).page(3_000, 8).join("\n\n");
    let asked = std::cell::Cell::new(0);
    let count = |text: &str| {
        asked.set(asked.get() + text.len());
        count(text)
    };
    chunk(&section(&text, ""), LIMITS, &count).unwrap();
    assert!(text.len() > 1_000_000);
    assert!(
        asked.get() < text.len() * 5 / 2,
        "{} of {}",
        asked.get(),
        text.len()
    );
}

fn markdown() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-zA-Z,.é界 ]{0,200}",
        1 => "#{1,7} [a-z ]{0,300}",
        1 => "(- |1\\. |\\| |```|~~~|    |\t)[a-z]{0,30}",
        1 => "[a-z]{0,2000}",
        1 => any::<String>(),
        2 => Just(String::new()),
    ];
    proptest::collection::vec(part, 0..60).prop_map(|parts| parts.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_lost_doubled_empty_or_too_long(
        text in markdown(),
        path in prop_oneof![Just(String::new()), "[a-z/]{1,300}\\.(rs|md)", any::<String>()],
        token_max in 32_usize..300,
    ) {
        let section = section(&text, &path);
        let limits = Limits { token_max };
        let chunks = chunk(&section, limits, &count).unwrap();
        let joined: String = chunks.iter().map(|chunk| &text[chunk.range.clone()]).collect();
        prop_assert_eq!(visible(&joined), visible(&text));
        for chunk in &chunks {
            prop_assert!(!text[chunk.range.clone()].trim().is_empty());
            prop_assert!(count(&chunk.text(&section)) <= token_max);
        }
        prop_assert_eq!(chunk(&section, limits, &count).unwrap(), chunks);
    }

    #[test]
    fn any_document_is_prepared(text in markdown(), name in any::<String>()) {
        for kind in [kind::ARTICLES, kind::POSTS, kind::REPOSITORIES, "notes"] {
            let content = Fields::from_iter([(name.clone(), text.clone().into())]);
            let fields = Fields::from_iter([("content".to_owned(), content.into())]);
            let prepared = prepare(kind, &fields, &LIMITS, &count).unwrap();
            prop_assert_eq!(prepared.chunks.is_empty(), prepared.text.is_empty());
        }
    }
}
