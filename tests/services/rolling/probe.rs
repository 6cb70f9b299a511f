//! How long a document takes from its commit until a search finds it.

use std::sync::Arc;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::Document;
use tokio::time::{Instant, timeout};

use super::asking::Replicas;
use crate::services::article;

/// What takes less is quick.
const QUICK: Duration = Duration::from_secs(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// The longest wait for a document.
const PATIENCE: Duration = Duration::from_mins(2);

/// Writes documents of its own, one after the other.
pub(super) struct Probe {
    database: Database,
    replicas: Arc<Replicas>,
    took: Vec<Duration>,
    recoveries: Vec<Duration>,
}

impl Probe {
    pub(super) fn new(database: &Database, replicas: &Arc<Replicas>) -> Self {
        Self {
            database: database.clone(),
            replicas: Arc::clone(replicas),
            took: Vec::new(),
            recoveries: Vec::new(),
        }
    }

    /// Writes until a document is found quickly; how long that took.
    pub(super) async fn until_quick(&mut self) -> String {
        let began = Instant::now();
        let mut slow = Vec::new();
        loop {
            let took = self.write().await;
            if took < QUICK {
                self.recoveries.push(began.elapsed());
                let recovered = began.elapsed().saturating_sub(took);
                return format!("lag {took:.2?} after {recovered:.1?}, before that {slow:.1?}");
            }
            slow.push(took);
        }
    }

    /// How long the next document takes.
    async fn write(&mut self) -> Duration {
        let id = format!("probe{}", self.took.len());
        let articles = self.database.collection::<Document>("articles");
        let text = format!("The {id} is looked for by its very name.");
        articles.insert_one(article(&id, &text)).await.unwrap();
        let began = Instant::now();
        let found = async {
            while !self.finds(&id).await {
                tokio::time::sleep(LOOK).await;
            }
        };
        let found = timeout(PATIENCE, found).await;
        assert!(found.is_ok(), "{id} is not found after {PATIENCE:?}");
        self.took.push(began.elapsed());
        began.elapsed()
    }

    async fn finds(&self, id: &str) -> bool {
        let found = self.replicas.search(id).await;
        let hits = found["hits"].as_array().unwrap();
        hits.iter().any(|hit| hit["entry_id"] == id)
    }

    pub(super) fn tally(&self) -> String {
        let mut took = self.took.clone();
        took.sort_unstable();
        let quick = took.iter().filter(|took| **took < QUICK).count();
        format!(
            "{} probes, median lag {:.2?}, longest {:.1?}, {quick} under {QUICK:?}; under it again at the \
             latest {:.1?} after a restart",
            took.len(),
            took[took.len() / 2],
            took[took.len() - 1],
            self.recoveries
                .iter()
                .skip(1)
                .max()
                .copied()
                .unwrap_or_default()
        )
    }
}
