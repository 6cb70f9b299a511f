//! The whole program in this process, on a folder of its own, with the hash embedder.

use std::path::Path;

use lockstep::command::{Handler as _, Reporter, Request, Response, Status};
use lockstep::config::{Backend, Config};
use lockstep::serve::Client;
use lockstep::{Result, crawl, run, search, verify};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A running process and a client of it. Dropping it without [`App::stop`] kills it.
pub(crate) struct App {
    client: Client,
    stop: oneshot::Sender<()>,
    process: JoinSet<Result<()>>,
}

/// Settings for a folder: any free port, and nothing that needs a model.
pub(crate) fn config(data: &Path) -> Config {
    let mut config = Config {
        data: data.to_owned(),
        ..Config::default()
    };
    config.model.backend = Backend::Hash;
    config.serve.listen = ([127, 0, 0, 1], 0).into();
    config.capture.tick_ms = 20;
    config
}

/// Two pages that no question takes for each other.
pub(crate) const ENGINE: (&str, &str) = (
    "Engine",
    "The analytical engine weaves algebraic patterns just as the loom weaves flowers.",
);
pub(crate) const GARDEN: (&str, &str) = (
    "Garden",
    "Tomatoes want sun, water in the morning, and a trellis before they grow too tall.",
);

/// A folder of pages, each with its title and text.
pub(crate) fn pages(pages: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (title, text) in pages {
        page(folder.path(), title, text);
    }
    folder
}

/// Writes one page.
pub(crate) fn page(folder: &Path, title: &str, text: &str) {
    let html = format!(
        "<!doctype html><html lang='en'><head><title>{title}</title></head><body><article>\
         <h1>{title}</h1><p>{text}</p></article></body></html>"
    );
    std::fs::write(folder.join(format!("{title}.html")), html).unwrap();
}

impl App {
    /// Starts on the folder and waits until it answers.
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(config(data)).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let data = config.data.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let mut process = JoinSet::new();
        process.spawn(run::up(
            config,
            async {
                stopped.await.ok();
            },
            move |_| ready.send(()).unwrap(),
        ));
        tokio::select! {
            answer = is_ready => answer.unwrap(),
            ended = process.join_next() => panic!("it did not start: {ended:?}"),
        }
        Self {
            client: Client::find(&data).await.unwrap().unwrap(),
            stop,
            process,
        }
    }

    pub(crate) async fn ask(&self, request: Request) -> Result<Response> {
        self.client.handle(request, Reporter::new().0).await
    }

    pub(crate) async fn crawl(&self, target: &Path) -> crawl::Report {
        self.crawl_as(target, None).await
    }

    /// Reads the folder as source code.
    pub(crate) async fn crawl_repository(&self, folder: &Path) -> crawl::Report {
        let kind = crawl::Kind::Repository;
        self.crawl_as(folder, Some(kind)).await
    }

    async fn crawl_as(&self, target: &Path, as_kind: Option<crawl::Kind>) -> crawl::Report {
        let what = crawl::Request {
            target: target.to_str().unwrap().to_owned(),
            author: "Ada Lovelace".to_owned(),
            as_kind,
            browser: false,
            reference: None,
        };
        match self.ask(Request::Crawl { what, wait: true }).await.unwrap() {
            Response::Crawl(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// The titles that answer, best first.
    pub(crate) async fn titles(&self, text: &str) -> Vec<String> {
        let query = search::Query {
            text: text.to_owned(),
            limit: 10,
            ..search::Query::default()
        };
        match self.ask(Request::Search(query)).await.unwrap() {
            Response::Search(answer) => {
                let titles = answer
                    .hits
                    .into_iter()
                    .map(|hit| hit.title.unwrap_or_default());
                titles.collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn status(&self) -> Status {
        match self.ask(Request::Status {}).await.unwrap() {
            Response::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn verify(&self) -> verify::Report {
        let request = Request::Verify {
            vectors: true,
            repair: false,
        };
        match self.ask(request).await.unwrap() {
            Response::Verify(report) => *report,
            other => panic!("{other:?}"),
        }
    }

    /// Stops gracefully.
    pub(crate) async fn stop(mut self) {
        self.stop.send(()).unwrap();
        let ended = self.process.join_next().await.unwrap();
        ended.unwrap().unwrap();
    }
}
