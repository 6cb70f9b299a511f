//! Commit to searchable: a post of one chunk is saved, and asked for until it answers.

use std::path::Path;
use std::time::Duration;

use lockstep::feature::embed::Embedder as _;
use lockstep::feature::embed::local::{LocalEmbedder, LocalOptions};
use lockstep::{Error, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::rooms::{self, Rooms};
use crate::timing::Known;
use crate::{Places, two};

/// The first ones warm caches.
const WARM: usize = 10;
const SAMPLES: usize = 100;
/// Between two questions.
const LOOK: Duration = Duration::from_millis(1);
/// A question's time within a sample is not aligned with the pipeline's own ticks.
const PAUSE_MS: u64 = 40;

/// When what happened to one post, in milliseconds since its commit.
#[derive(Default)]
struct Sample {
    save: f64,
    embed_begins: f64,
    embedded: f64,
    write_begins: f64,
    written: f64,
    found: f64,
}

/// Posts on top of what the folder holds.
pub(crate) async fn measure(places: &Places, data: &Path) -> Result<Value> {
    let embedder = LocalEmbedder::open(&places.model, LocalOptions::default())?;
    let rooms = Rooms::open(data, embedder).await?;
    // A snapshot of the start must be over.
    sleep(Duration::from_secs(2)).await;
    let mut samples = Vec::new();
    for number in 0..WARM + SAMPLES {
        let sample = one(&rooms, number).await?;
        if number >= WARM {
            samples.push(sample);
        }
        sleep(Duration::from_millis(PAUSE_MS + (number as u64 * 7) % 23)).await;
    }
    rooms.stop().await?;
    let of = |what: fn(&Sample) -> f64| percentiles(samples.iter().map(what).collect());
    Ok(json!({
        "samples": samples.len(),
        "commit_to_searchable_ms": of(|one| one.found),
        "stages_ms": {
            "save, before the commit": of(|one| one.save),
            "capture, queue, prepare": of(|one| one.embed_begins),
            "embed": of(|one| one.embedded - one.embed_begins),
            "to the write": of(|one| one.write_begins - one.embedded),
            "write points, flush, manifest": of(|one| one.written - one.write_begins),
            "until a search has it": of(|one| one.found - one.written),
        },
    }))
}

async fn one(rooms: &Rooms<LocalEmbedder>, number: usize) -> Result<Sample> {
    let text = format!(
        "Note {number}: the lighthouse keeper of island {} counts {} ships, writes their names \
         into a book and waits for the evening boat that brings bread, oil and letters.",
        number * 37 % 101,
        number * 53 % 89,
    );
    let vector = rooms.embedder.embed(vec![text.clone()]).await?.remove(0);
    let question = Known {
        model: rooms.embedder.model().clone(),
        vector,
    };
    drop((rooms.embedder.take(), rooms.store.take()));
    let post = rooms::post(&format!("fresh {number}"), &text)?;
    let key = post.key.clone();
    let before = Instant::now();
    rooms.save(vec![post]).await?;
    let commit = Instant::now();
    loop {
        let answer = rooms.search(&question, &text).await?;
        if answer.hits.iter().any(|hit| hit.key == key) {
            break;
        }
        if commit.elapsed() > Duration::from_secs(30) {
            return Err(Error::malformed("a post", "no search has found it"));
        }
        sleep(LOOK).await;
    }
    let since = |at: Instant| at.saturating_duration_since(commit).as_secs_f64() * 1000.0;
    let found = since(Instant::now());
    // A search may have it before the call that wrote it returns.
    while !rooms.store.has_ended() {
        sleep(LOOK).await;
    }
    let first =
        |calls: Vec<(Instant, Instant)>| calls.into_iter().next().unwrap_or((commit, commit));
    let (embed, write) = (first(rooms.embedder.take()), first(rooms.store.take()));
    Ok(Sample {
        save: (commit - before).as_secs_f64() * 1000.0,
        embed_begins: since(embed.0),
        embedded: since(embed.1),
        write_begins: since(write.0),
        written: since(write.1),
        found,
    })
}

fn percentiles(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| two(values[(values.len() * share / 100).min(values.len() - 1)]);
    json!({"p50": at(50), "p99": at(99)})
}
