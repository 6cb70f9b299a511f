//! The share of a document's chunks that an edit makes new.
//!
//! Some of it no splitter can avoid: a chunk that holds a whole line which the text before did not have
//! is new however it was cut. That part is told beside the whole.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::ops::Range;

use gix::ObjectId;
use lockstep::Result;
use lockstep::feature::embed::Embedder;
use serde_json::{Value, json};

use crate::cut::{Cleaned, Piece, Way};
use crate::history::History;
use crate::{four, mean, percentile};

/// One way's figures.
#[derive(Default)]
struct Figures {
    /// New chunks of each edit, as a share of the chunks after it.
    shares: Vec<f64>,
    /// New chunks of each edit.
    new: Vec<f64>,
    /// Chunks of each edit that hold a new line, as a share of the chunks after it.
    floors: Vec<f64>,
    /// Tokens of the new chunks of each edit.
    new_tokens: Vec<f64>,
    chunks: usize,
    /// Tokens of each chunk of the last commit.
    sizes: Vec<f64>,
}

/// What is known of a content.
struct Content {
    /// Hashes of its lines.
    lines: HashSet<u64>,
    /// Its chunks, in each way.
    ways: Vec<Vec<Chunk>>,
}

/// A chunk of a content.
#[derive(PartialEq)]
struct Chunk {
    hash: u64,
    tokens: usize,
    /// Hashes of the lines that lie wholly in it.
    lines: Vec<u64>,
}

/// Contents that were cut; none for what is no text.
type Known = HashMap<ObjectId, Option<Content>>;

pub(crate) fn measure(history: &History, embedder: &impl Embedder, most: usize) -> Result<Value> {
    let step = history.edits.len().div_ceil(most.max(1)).max(1);
    let edits: Vec<_> = history.edits.iter().step_by(step).copied().collect();
    let mut figures: Vec<Figures> = Way::ALL.iter().map(|_| Figures::default()).collect();
    let mut known = Known::new();
    let mut counted = 0_usize;
    for (before, after) in edits {
        read(history, embedder, before, &mut known)?;
        read(history, embedder, after, &mut known)?;
        let (Some(Some(old)), Some(Some(new))) = (known.get(&before), known.get(&after)) else {
            continue;
        };
        // What cleaning takes away is no edit.
        if new.ways.iter().any(Vec::is_empty) || old.ways == new.ways {
            continue;
        }
        counted += 1;
        for (way, figures) in figures.iter_mut().enumerate() {
            figures.add(&old.ways[way], &new.ways[way], &old.lines);
        }
    }
    for (_, id) in &history.files {
        read(history, embedder, *id, &mut known)?;
        let ways = known.get(id).and_then(Option::as_ref);
        let ways = ways.map_or(&[][..], |content| &content.ways[..]);
        for (figures, chunks) in figures.iter_mut().zip(ways) {
            let sizes = chunks.iter().map(|chunk| chunk.tokens as f64);
            figures.sizes.extend(sizes);
        }
    }
    let ours = mean(&figures[0].shares);
    let mut report = json!({ "edits": counted, "every": step, "the seed's way": 1.0 });
    for (way, figures) in Way::ALL.iter().zip(&figures) {
        report[way.name()] = figures.report(ours);
    }
    Ok(report)
}

impl Figures {
    fn add(&mut self, old: &[Chunk], new: &[Chunk], lines: &HashSet<u64>) {
        let mut there: HashMap<u64, usize> = HashMap::new();
        for chunk in old {
            *there.entry(chunk.hash).or_default() += 1;
        }
        let is_new = |chunk: &&Chunk| match there.get_mut(&chunk.hash) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        };
        let fresh: Vec<&Chunk> = new.iter().filter(is_new).collect();
        let forced = fresh
            .iter()
            .filter(|chunk| chunk.lines.iter().any(|line| !lines.contains(line)));
        self.floors.push(forced.count() as f64 / new.len() as f64);
        self.shares.push(fresh.len() as f64 / new.len() as f64);
        self.new.push(fresh.len() as f64);
        let tokens = fresh.iter().map(|chunk| chunk.tokens).sum::<usize>();
        self.new_tokens.push(tokens as f64);
        self.chunks += new.len();
    }

    fn report(&self, ours: f64) -> Value {
        let sizes = &self.sizes;
        let share = mean(&self.shares);
        json!({
            "mean_share": four(share), "median_share": four(percentile(&self.shares, 50)),
            "ours_of_it": four(ours / share), "mean_share_with_a_new_line": four(mean(&self.floors)),
            "mean_new_chunks": four(mean(&self.new)), "mean_new_tokens": four(mean(&self.new_tokens)),
            "chunks_a_document": four(self.chunks as f64 / self.shares.len() as f64),
            "tokens": {
                "mean": four(mean(sizes)), "median": percentile(sizes, 50),
                "p10": percentile(sizes, 10), "p90": percentile(sizes, 90), "chunks": sizes.len(),
            },
        })
    }
}

/// Cuts a content in each way, unless it was before.
fn read(
    history: &History,
    embedder: &impl Embedder,
    id: ObjectId,
    known: &mut Known,
) -> Result<()> {
    if known.contains_key(&id) {
        return Ok(());
    }
    let Some(text) = history.text(id)? else {
        known.insert(id, None);
        return Ok(());
    };
    let cleaned = Cleaned::new(&text, embedder)?;
    let chunk = |piece: Piece| Chunk {
        hash: hash_of(&piece.text),
        tokens: embedder.token_count(&piece.text),
        lines: whole_lines(&cleaned.text, &piece.range),
    };
    let mut ways = Vec::new();
    for way in Way::ALL {
        let pieces = cleaned.cut(way, embedder)?;
        ways.push(pieces.into_iter().map(chunk).collect());
    }
    let lines = whole_lines(&cleaned.text, &(0..cleaned.text.len()));
    let lines = lines.into_iter().collect();
    known.insert(id, Some(Content { lines, ways }));
    Ok(())
}

/// The lines of the text that lie in this range from end to end.
fn whole_lines(text: &str, range: &Range<usize>) -> Vec<u64> {
    let head = text[..range.start].trim_end_matches([' ', '\t']);
    let tail = text[range.end..].trim_start_matches([' ', '\t']);
    let (head, tail) = (
        head.is_empty() || head.ends_with('\n'),
        tail.is_empty() || tail.starts_with('\n'),
    );
    let lines: Vec<&str> = text[range.clone()].split('\n').collect();
    let last = lines.len() - 1;
    let whole = lines
        .iter()
        .enumerate()
        .filter(|(at, line)| !line.trim().is_empty() && (*at > 0 || head) && (*at < last || tail));
    whole.map(|(_, line)| hash_of(line.trim())).collect()
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
