//! Seeds over the models, and bugs planted to be found.

use lockstep::simulate::{self, Plant};

#[test]
fn promises_hold_on_ten_thousand_seeds() {
    let seeds: u64 = std::env::var("SEEDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(10_000);
    for seed in 0..seeds {
        let outcome = simulate::run(seed, 120, None);
        assert!(outcome.broken.is_none(), "{outcome:?}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    for plant in Plant::ALL {
        let found = (0..3000)
            .map(|seed| simulate::run(seed, 120, Some(plant)))
            .find(|o| o.broken.is_some());
        println!("{plant:?}: {found:?}");
    }
}
