//! A web site on loopback, one page of which is handed out only when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

const TEXT: &str = "The analytical engine weaves algebraic patterns just as the loom weaves flowers and \
    leaves, and whoever feeds it with cards may have any pattern that an equation can describe.";

/// It ends with its value.
pub(crate) struct Site {
    origin: String,
    asked: Arc<Notify>,
    gate: Arc<Semaphore>,
    count: Arc<AtomicUsize>,
    _serving: JoinSet<std::io::Result<()>>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let (asked, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let count = Arc::new(AtomicUsize::new(0));
        let held = {
            let (asked, gate, count) = (Arc::clone(&asked), Arc::clone(&gate), Arc::clone(&count));
            async move || {
                count.fetch_add(1, Ordering::Relaxed);
                asked.notify_one();
                gate.acquire().await.unwrap().forget();
                page("Held")
            }
        };
        let router = Router::new()
            .route("/robots.txt", get(|| async { "" }))
            .route("/held", get(held))
            .route("/open", get(|| async { page("Open") }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(axum::serve(listener, router).into_future());
        Self {
            origin,
            asked,
            gate,
            count,
            _serving: serving,
        }
    }

    pub(crate) fn link(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Waits until somebody asks for `/held`.
    pub(crate) async fn is_asked(&self) {
        self.asked.notified().await;
    }

    /// Hands `/held` out, once.
    pub(crate) fn release(&self) {
        self.gate.add_permits(1);
    }

    /// How often `/held` was asked for.
    pub(crate) fn held_count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

fn page(title: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang='en'><head><title>{title}</title></head><body><article><h1>{title}</h1>\
         <p>{TEXT}</p><p>{TEXT}</p></article></body></html>"
    ))
}
