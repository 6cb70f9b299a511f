//! What capture adds to a single insert when nothing else happens.

use bson::Document as BsonDocument;
use lockstep::document::kind;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::backlog::{Backlog, document};
use crate::product::{self, Counted, PAUSE};
use crate::{BYTES, Bench, Outcome, bare, part, two};

/// Not counted: connections, caches and queues are new.
const WARM: usize = 20;
const SAMPLES: usize = 300;

/// From the return of the insert to the confirm, beside a bare publish of the same body.
pub(crate) async fn added(bench: &Bench) -> Outcome<Value> {
    let backlog = Backlog::fill(bench, kind::REPOSITORIES, (1, BYTES)).await?;
    let queue = Counted::open(bench, "idle").await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async { drop(stopped.await) };
    let (ran, samples) = tokio::join!(product::run(&backlog, &queue, until), async {
        let samples = samples(bench, &backlog, &queue).await;
        drop(stop);
        samples
    });
    ran?;
    let (ours, bare) = samples?;
    queue.remove(bench).await?;
    let figures = |samples: &[f64]| [part(samples, 0.5), part(samples, 0.99)];
    let ([p50, p99], [bare_p50, bare_p99]) = (figures(&ours), figures(&bare));
    Ok(json!({
        "samples": SAMPLES, "p50": two(p50), "p99": two(p99),
        "bare_p50": two(bare_p50), "bare_p99": two(bare_p99),
        "added_p50": two(p50 - bare_p50), "added_p99": two(p99 - bare_p99),
    }))
}

/// Milliseconds of ours and of the bare publish, in turns.
async fn samples(
    bench: &Bench,
    backlog: &Backlog,
    queue: &Counted,
) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let collection = backlog.database.collection::<BsonDocument>(&backlog.kind);
    let mut publisher = bare::Publisher::open(bench, 1).await?;
    queue.reached(1).await;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for number in 1..=WARM + SAMPLES {
        sleep(PAUSE).await;
        let document = document(number, BYTES);
        let body = bson::serialize_to_vec(&document)?;
        collection.insert_one(document).await?;
        let committed = Instant::now();
        queue.reached(number + 1).await;
        let (_, confirmed) = queue.confirmed();
        // Confirmed before the insert had its answer: nothing was added.
        ours.push(confirmed.saturating_duration_since(committed).as_secs_f64() * 1_000.0);
        sleep(PAUSE).await;
        let start = Instant::now();
        publisher.send(&body).await?;
        publisher.confirm_down_to(0).await?;
        bare.push(start.elapsed().as_secs_f64() * 1_000.0);
    }
    publisher.remove().await?;
    Ok((ours.split_off(WARM), bare.split_off(WARM)))
}
