//! The site: small articles with the frame that a site puts around them, each another one.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use lockstep::{Error, Result};
use tokio::net::TcpListener;

const WORDS: [&str; 64] = [
    "the",
    "a",
    "of",
    "in",
    "and",
    "to",
    "is",
    "that",
    "with",
    "for",
    "engine",
    "loom",
    "pattern",
    "number",
    "card",
    "wheel",
    "store",
    "mill",
    "column",
    "punched",
    "operation",
    "result",
    "order",
    "weave",
    "flower",
    "leaf",
    "thread",
    "table",
    "value",
    "function",
    "series",
    "variable",
    "machine",
    "hand",
    "work",
    "page",
    "note",
    "letter",
    "year",
    "city",
    "river",
    "garden",
    "winter",
    "morning",
    "light",
    "stone",
    "bridge",
    "ship",
    "harbour",
    "tide",
    "wind",
    "field",
    "road",
    "house",
    "window",
    "door",
    "paper",
    "ink",
    "voice",
    "music",
    "small",
    "large",
    "early",
    "quiet",
];

/// Serves until it is killed; the first line that it prints is where.
pub(crate) async fn serve(count: usize) -> Result<()> {
    let fail = || Error::unavailable("the bench's server", "listen");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(fail())?;
    let address = listener.local_addr().map_err(fail())?;
    println!("http://{address}");
    let pages: Arc<Vec<String>> = Arc::new((0..count).map(page).collect());
    let sitemap = async move || {
        let posts: String = (0..count)
            .map(|at| format!("<url><loc>http://{address}/p/{at}</loc></url>"))
            .collect::<Vec<_>>()
            .concat();
        (
            [(CONTENT_TYPE, "application/xml")],
            format!("<urlset>{posts}</urlset>"),
        )
    };
    let answer = async move |Path(at): Path<usize>| {
        let page = pages.get(at).cloned().unwrap_or_default();
        ([(CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
    };
    let router = Router::new()
        .route("/sitemap.xml", get(sitemap))
        .route("/p/{at}", get(answer));
    axum::serve(listener, router).await.map_err(fail())
}

/// About 8 kB.
fn page(at: usize) -> String {
    let mut random = fastrand::Rng::with_seed(at as u64);
    let title = sentence(6, &mut random);
    let links = |count: usize, random: &mut fastrand::Rng| -> String {
        (0..count)
            .map(|_| {
                let (to, name) = (random.u16(..), sentence(2, random));
                format!("<li class=\"menu-item\"><a href=\"/s/{to}\">{name}</a></li>\n")
            })
            .collect::<Vec<_>>()
            .concat()
    };
    let mut body = Vec::new();
    for part in 0..3 {
        body.push(format!("<h2>{}</h2>\n", sentence(4, &mut random)));
        for _ in 0..2 {
            let text: Vec<String> = (0..5).map(|_| sentence(14, &mut random)).collect();
            body.push(format!(
                "<p>{} <a href=\"/p/{part}\">there</a>.</p>\n",
                text.join(" ")
            ));
        }
    }
    let body = body.concat();
    let items: String = (0..4)
        .map(|_| format!("<li>{}</li>", sentence(9, &mut random)))
        .collect::<Vec<_>>()
        .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} | The Loom</title>\n\
         <meta name=\"description\" content=\"{}\"><meta property=\"og:title\" content=\"{title}\">\n\
         <meta property=\"article:published_time\" content=\"2024-02-03T04:05:06Z\"><meta name=\"author\" \
         content=\"Ada Lovelace\"><link rel=\"canonical\" href=\"/p/{at}\"><style>body {{ margin: 0 }}</style>\n\
         </head><body><header><nav><ul>{}</ul></nav></header><main><article class=\"post\"><h1>{title}</h1>\n\
         <p class=\"byline\">By Ada Lovelace</p>\n{body}<ul>{items}</ul></article></main><aside><h3>More</h3><ul>{}\
         </ul></aside><footer><p>Imprint</p><ul>{}</ul></footer><script>track({at})</script></body></html>",
        sentence(12, &mut random),
        links(8, &mut random),
        links(10, &mut random),
        links(6, &mut random)
    )
}

fn sentence(words: usize, random: &mut fastrand::Rng) -> String {
    let words: Vec<&str> = (0..words)
        .map(|_| WORDS[random.usize(..WORDS.len())])
        .collect();
    let text = words.join(" ");
    let (first, rest) = text.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}
