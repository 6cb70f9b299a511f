//! Extractors that were not chosen: `others <folder> <name>` prints the texts of every page and the seconds
//! as one JSON object; `others names` prints the names.

use std::fs::File;
use std::io::Read;
use std::panic::catch_unwind;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use trafilatura::ExtractionFocus;
use url::Url;

type Extract = fn(&str, &str) -> Option<String>;

const EXTRACTORS: [(&str, Extract); 14] = [
    ("trafilatura 0.6", |html, url| port(html, url, ExtractionFocus::Balanced)),
    ("trafilatura 0.6, precision", |html, url| port(html, url, ExtractionFocus::FavorPrecision)),
    ("trafilatura 0.6, recall", |html, url| port(html, url, ExtractionFocus::FavorRecall)),
    ("rs-trafilatura 0.2", |html, _| rs(html, false)),
    ("rs-trafilatura 0.2, precision", |html, _| rs(html, true)),
    ("dom_smoothie 0.19", |html, url| smoothie(html, url, dom_smoothie::TextMode::Raw)),
    ("dom_smoothie 0.19, formatted", |html, url| smoothie(html, url, dom_smoothie::TextMode::Formatted)),
    ("libreadability 0.3", |html, url| Some(libreadability::extract(html, Some(url)).ok()?.text_content)),
    ("legible 0.5", |html, url| Some(legible::parse(html, Some(url), None).ok()?.text_content)),
    ("readabilityrs 0.1", |html, url| readabilityrs::Readability::new(html, Some(url), None).ok()?.parse()?.text_content),
    ("readability 0.3", |html, url| {
        Some(readability::extractor::extract(&mut html.as_bytes(), &Url::parse(url).ok()?).ok()?.text)
    }),
    ("llm_readability 0.0.17", |html, url| {
        Some(llm_readability::extractor::extract(&mut html.as_bytes(), &Url::parse(url).ok()?).ok()?.text)
    }),
    ("boilerpipe 0.6", |html, _| Some(boilerpipe::parse_document(html).content().to_string())),
    ("dom-content-extraction 0.4", |html, _| {
        dom_content_extraction::get_content(&scraper::Html::parse_document(html)).ok()
    }),
];

fn port(html: &str, url: &str, focus: ExtractionFocus) -> Option<String> {
    let options = trafilatura::Options::default()
        .with_fallback(true)
        .with_exclude_comments(true)
        .with_focus(focus)
        .with_url(Url::parse(url).ok()?);
    Some(trafilatura::extract(html, &options).ok()?.content_text)
}

fn rs(html: &str, precision: bool) -> Option<String> {
    let options = rs_trafilatura::Options {
        favor_precision: precision,
        ..rs_trafilatura::Options::default()
    };
    Some(rs_trafilatura::extract_with_options(html, &options).ok()?.content_text)
}

fn smoothie(html: &str, url: &str, text_mode: dom_smoothie::TextMode) -> Option<String> {
    let config = dom_smoothie::Config { text_mode, ..dom_smoothie::Config::default() };
    let mut reader = dom_smoothie::Readability::new(html, Some(url), Some(config)).ok()?;
    Some(reader.parse().ok()?.text_content.to_string())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["names"] {
        for (name, _) in EXTRACTORS {
            println!("{name}");
        }
        return Ok(());
    }
    let [folder, name] = arguments.as_slice() else {
        bail!("usage: others FOLDER NAME, or others names");
    };
    let (_, extract) = EXTRACTORS
        .into_iter()
        .find(|(known, _)| known == name)
        .context("no such extractor")?;
    // Some of them recurse as deep as a page nests.
    let (folder, stack) = (folder.clone(), 256 << 20);
    let reading = std::thread::Builder::new()
        .stack_size(stack)
        .spawn(move || read(&folder, extract))?;
    println!("{}", reading.join().expect("the reader should not panic")?);
    Ok(())
}

fn read(folder: &str, extract: Extract) -> Result<Value> {
    std::panic::set_hook(Box::new(|_| {}));
    let truth: Map<String, Value> = serde_json::from_reader(File::open(format!("{folder}/ground-truth.json"))?)?;
    let (mut texts, mut seconds) = (Map::new(), 0.0);
    for (id, page) in &truth {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(format!("{folder}/html/{id}.html.gz"))?).read_to_end(&mut bytes)?;
        let html = String::from_utf8_lossy(&bytes);
        let url = page["url"].as_str().unwrap_or_default();
        let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        let begun = Instant::now();
        let text = catch_unwind(|| extract(&html, &url)).ok().flatten();
        seconds += begun.elapsed().as_secs_f64();
        texts.insert(id.clone(), text.unwrap_or_default().into());
    }
    Ok(json!({ "texts": texts, "seconds": seconds }))
}
