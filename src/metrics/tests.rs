use super::*;

fn full() -> Metrics {
    let counters = Arc::<Counters>::default();
    counters.stored.store(7, Ordering::Relaxed);
    counters
        .stages
        .took(Stage::Embed, Duration::from_millis(20));
    let metrics = Metrics::new(counters);
    metrics.captures(true);
    metrics.position(Some((
        Duration::from_secs(2),
        Some(Duration::from_hours(1)),
    )));
    let depth = Depth {
        live: 3,
        backfill: 0,
        parked: 1,
    };
    metrics.queues(Some((depth, Duration::from_secs(90))));
    metrics.settled(Some((1_700_000_000_500, Duration::from_secs(1))));
    metrics.searched("found", Duration::from_millis(30));
    metrics.usage(2, 40);
    metrics
}

#[test]
fn what_was_recorded_is_told() {
    let text = full().text();
    for line in [
        "lockstep_capture_active{} 1.0",
        "lockstep_source_oplog_window_seconds{} 3600.0",
        "lockstep_queue_pending{lane=\"live\"} 3.0",
        "lockstep_queue_oldest_parked_seconds{} 90.0",
        "lockstep_index_as_of_timestamp_seconds{} 1700000000.5",
        "lockstep_feature_changes_total{outcome=\"stored\"} 7",
        "lockstep_feature_stage_seconds_count{stage=\"embed\"} 1",
        "lockstep_search_seconds_count{outcome=\"found\"} 1",
        "lockstep_model_tokens_total{} 40",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} in {text}");
    }
    // A count that is read again is not counted again.
    let metrics = full();
    assert_eq!(metrics.text(), metrics.text());
}

#[test]
fn what_is_not_known_is_left_out() {
    let text = Metrics::new(Arc::default()).text();
    assert!(!text.contains("lockstep_capture_lag_seconds"), "{text}");
}

#[test]
fn what_is_not_known_any_more_is_not_told_as_it_was() {
    let metrics = full();
    metrics.position(Some((Duration::from_secs(2), None)));
    let text = metrics.text();
    assert!(text.contains("lockstep_capture_lag_seconds{}"), "{text}");
    assert!(!text.contains("oplog_window_seconds{}"), "{text}");
    metrics.position(None);
    metrics.queues(None);
    metrics.settled(None);
    let text = metrics.text();
    for figure in [
        "lockstep_capture_lag_seconds{",
        "lockstep_queue_pending{",
        "lockstep_queue_parked{",
        "lockstep_queue_oldest_parked_seconds{",
        "lockstep_index_lag_seconds{",
        "lockstep_index_as_of_timestamp_seconds{",
    ] {
        assert!(!text.contains(figure), "{figure} in {text}");
    }
}

#[test]
fn scrapes_at_once_count_nothing_twice() {
    let counters = Arc::<Counters>::default();
    let metrics = Metrics::new(Arc::clone(&counters));
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..500 {
                    counters.stored.fetch_add(1, Ordering::Relaxed);
                    metrics.text();
                }
            });
        }
    });
    let text = metrics.text();
    let told = "lockstep_feature_changes_total{outcome=\"stored\"} 2000";
    assert!(text.lines().any(|line| line == told), "{text}");
}

#[test]
fn the_page_has_a_row_for_every_metric_and_no_other() {
    let page = include_str!("../../docs/metrics.md");
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `lockstep_")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`');
        Some((format!("lockstep_{name}"), format!("{}.", cells.next()?)))
    };
    let rows: Vec<_> = page.lines().filter_map(row).collect();
    let text = full().text();
    let known: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '))
        .map(|(name, help)| (name.to_owned(), help.to_owned()))
        .collect();
    assert_eq!(rows, known, "docs/metrics.md against src/metrics.rs");
}
