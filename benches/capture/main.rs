//! Capture in figures: a backlog to confirmed beside bare loops and the seed's way, memory, latency.
//!
//! ```text
//! MongoDB's protocol ──> capture, in process ──────> RabbitMQ ┐
//!        │       └─────> a bare loop; drain; publish ───┘     ├──> a line a figure, then one JSON object
//!        └─────────────> seed.py; `lockstep capture` ───┘     ┘
//! ```
//!
//! `capture backlog seed memory large idle` names the parts; none means all of them. A number among
//! them is the count of changes of the backlog. The servers are its own and end with it.

#![expect(clippy::print_stdout, reason = "a bench reports to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]

#[path = "../../src/allocator.rs"]
mod allocator;
mod backlog;
mod bare;
#[expect(dead_code, reason = "the tests do more with a broker than run it")]
#[expect(clippy::unwrap_used, reason = "without its servers the bench ends")]
#[path = "../../tests/support/broker.rs"]
mod broker;
mod idle;
mod process;
mod product;
mod seed;
mod server;
#[expect(dead_code, reason = "the bench asks for no other service by its URL")]
#[path = "../../tests/support/services.rs"]
mod services;

use lockstep::document::kind;
use serde_json::{Value, json};

use backlog::Backlog;
use broker::Broker;
use server::Mongo;

/// What may go wrong is told and ends the bench.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Changes of the backlog.
const CHANGES: usize = 100_000;
/// Bytes of one of its documents.
const BYTES: usize = 1_500;
/// Of each figure of the backlog, in turns.
const ROUNDS: usize = 3;
/// Events that the seed's way carries: it is slow.
const SEED_EVENTS: usize = 400;
/// Large documents, and their bytes.
const LARGE: (usize, usize) = (200, 4 << 20);

/// The servers, and what runs against them.
pub(crate) struct Bench {
    pub(crate) mongo: Mongo,
    pub(crate) broker: Broker,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| one != "--bench")
        .collect();
    let count = arguments.iter().find_map(|one| one.parse().ok());
    let changes = count.unwrap_or(CHANGES);
    let parts = arguments.iter().filter(|one| one.parse::<usize>().is_err());
    let parts: Vec<&String> = parts.collect();
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|one| *one == part);
    let mut report = json!({ "load_before": load(), "changes": changes, "bytes": BYTES });
    let bench = Bench {
        mongo: Mongo::start()?,
        broker: Broker::start(),
    };
    if wants("backlog") || wants("seed") || wants("memory") {
        let backlog = Backlog::fill(&bench, kind::ARTICLES, (changes, BYTES)).await?;
        if wants("backlog") {
            report["backlog"] = rates(&bench, &backlog, &parts).await?;
            say("backlog", &report["backlog"]);
        }
        if wants("seed") {
            let rate = seed::rate(&bench, &backlog, SEED_EVENTS.min(changes)).await?;
            report["seed_per_second"] = two(rate).into();
            if let Some(ours) = report["backlog"]["ours"].as_f64() {
                report["of_seed"] = two(ours / rate).into();
            }
            say("seed", &report["seed_per_second"]);
        }
        if wants("memory") {
            report["memory"] = process::peak(&bench, &backlog).await?;
            say("memory", &report["memory"]);
        }
    }
    if wants("large") {
        let empty = Backlog::fill(&bench, kind::POSTS, (0, LARGE.1)).await?;
        report["large"] = process::peak_of_large(&bench, &empty, LARGE).await?;
        say("large", &report["large"]);
    }
    if wants("idle") {
        report["idle_ms"] = idle::added(&bench).await?;
        say("idle", &report["idle_ms"]);
    }
    report["load_after"] = load().into();
    println!("{report}");
    Ok(())
}

/// The product and what it is measured against, in turns; medians, in changes a second.
async fn rates(bench: &Bench, backlog: &Backlog, parts: &[&String]) -> Outcome<Value> {
    let bodies = backlog.bodies().await?;
    let figures = [
        "ours",
        "bare_1",
        "bare_4",
        "drain",
        "drain_asked",
        "our_drain",
        "publish_1",
        "publish_4",
        "our_publish",
    ];
    let named = |figure: &str| parts.iter().any(|one| *one == figure);
    let some = figures.iter().any(|figure| named(figure));
    let mut rounds = figures.map(|it| (it, Vec::new()));
    for round in 0..ROUNDS {
        for (what, rates) in rounds.iter_mut().filter(|it| !some || named(it.0)) {
            let seconds = match *what {
                "ours" => product::carry(bench, backlog, &format!("round{round}")).await?,
                "bare_1" => bare::carry(bench, backlog, 1).await?,
                "bare_4" => bare::carry(bench, backlog, 4).await?,
                "drain" => bare::drain(backlog, Vec::new()).await?,
                "drain_asked" => bare::drain(backlog, backlog.asked()).await?,
                "our_drain" => product::drain(backlog).await?,
                "our_publish" => product::publish(bench, backlog).await?,
                "publish_1" => bare::publish(bench, &bodies, (backlog.count, 1)).await?,
                _ => bare::publish(bench, &bodies, (backlog.count, 4)).await?,
            };
            rates.push(backlog.count as f64 / seconds);
            println!(
                "  round {round} {what:9} {:.0}/s",
                backlog.count as f64 / seconds
            );
        }
    }
    let mut figures = json!({ "rounds": ROUNDS });
    for (what, rates) in &rounds {
        figures[what] = median(rates).round().into();
    }
    for (name, other) in [("of_bare_1", 1), ("of_bare_4", 2)] {
        // Of the rounds' own ratios: the machine's load changes between them.
        let pairs = rounds[0].1.iter().zip(&rounds[other].1);
        let ratios: Vec<f64> = pairs.map(|(ours, bare)| ours / bare).collect();
        figures[name] = two(median(&ratios)).into();
    }
    Ok(figures)
}

fn say(what: &str, value: &Value) {
    println!("{what:8} {value}");
}

pub(crate) fn median(values: &[f64]) -> f64 {
    part(values, 0.5)
}

/// The value that this part of all lies below.
pub(crate) fn part(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a count is a small number that is not negative"
    )]
    let index = (sorted.len() as f64 * part) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or(f64::NAN)
}

/// Two decimals are more than the machine's noise.
pub(crate) fn two(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Processes that wanted the machine over the last minute.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}
