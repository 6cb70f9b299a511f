//! Where feeds and sitemaps are read.

use std::cell::Cell;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::crawl::Settings;

thread_local! {
    /// Whether this thread is the one that serves and asks.
    static IS_BUSY: Cell<bool> = const { Cell::new(false) };
}

#[tokio::test]
async fn lists_are_read_where_they_hold_up_nobody_who_is_asked_or_asks() {
    IS_BUSY.set(true);
    let xml = |text: &'static str| get(async move || ([(CONTENT_TYPE, "text/xml")], text));
    let feed = "<rss version='2.0'><channel><item><link>/p/1</link></item></channel></rss>";
    let router = Router::new().route("/feed", xml(feed)).route(
        "/sitemap.xml",
        xml("<urlset><loc>http://127.0.0.1/p/2</loc></urlset>"),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(axum::serve(listener, router).into_future());
    let settings = Settings {
        allow_private: true,
        ..Settings::default()
    };
    let listing = Listing {
        feeds: vec![home.join("/feed").unwrap()],
        sitemaps: vec![home.join("/sitemap.xml").unwrap()],
        home,
        // It is asked for each link that is read.
        post: |url| (!IS_BUSY.get()).then(|| url.clone()),
    };
    let fetcher = Fetcher::new(&settings).unwrap();
    let (gathered, _) = gather(&listing, &fetcher).await.unwrap();
    assert_eq!(gathered.posts.len(), 2, "{:?}", gathered.posts);
}
