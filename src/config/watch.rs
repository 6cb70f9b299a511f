//! `[[crawl.watch]]` of the file: links that are crawled again and again. A list of tables has no
//! variable, and every entry is checked by itself, so that no fault hides another.

use std::time::Duration;

use toml::{Table, Value};

use super::file::File;
use super::nearest::suggestion;
use super::origin::Fault;
use crate::crawl::schedule::Watch;
use crate::crawl::{self, Kind, Request};

const SETTINGS: [&str; 5] = ["link", "author", "every", "as", "ref"];
/// Between two crawls of one link at least; what is asked more often is asked too often.
const EVERY_MIN: Duration = Duration::from_mins(1);
/// And at most: ten years.
const EVERY_MAX: Duration = Duration::from_hours(10 * 366 * 24);
/// Links in all; each is looked at every minute.
const WATCHES_MAX: usize = 10_000;

/// Takes the links out of the file's table.
pub(super) fn take(file: &mut File, faults: &mut Vec<Fault>) -> Vec<Watch> {
    let given = entries(&mut file.table);
    let mut fault = |name: &str, why: &str| {
        let name = format!("crawl.watch{name}");
        faults.push(Fault {
            from: file.origin(&name),
            setting: Some(name),
            why: why.to_owned(),
        });
    };
    let given = match given {
        None => return Vec::new(),
        Some(Value::Array(given)) if given.len() <= WATCHES_MAX => given,
        Some(Value::Array(_)) => {
            fault("", &format!("it has more than {WATCHES_MAX} entries"));
            return Vec::new();
        }
        Some(_) => {
            fault("", "write each link as a table [[crawl.watch]]");
            return Vec::new();
        }
    };
    let mut watches: Vec<Watch> = Vec::new();
    for (number, entry) in (1..).zip(given) {
        let mut fault = |name: &str, why: &str| {
            let dot = if name.is_empty() { "" } else { "." };
            fault(&format!("[{number}]{dot}{name}"), why);
        };
        let Value::Table(entry) = entry else {
            fault("", "it should be a table");
            continue;
        };
        let Some(watch) = watch(&entry, &mut fault) else {
            continue;
        };
        let is_twice = |other: &Watch| other.request.target == watch.request.target;
        if watches.iter().any(is_twice) {
            fault("link", "it stands here twice");
        } else {
            watches.push(watch);
        }
    }
    watches
}

/// What stands under the name; a section that held nothing else is left out too.
fn entries(table: &mut Table) -> Option<Value> {
    let crawl = table.get_mut("crawl").and_then(Value::as_table_mut)?;
    let given = crawl.remove("watch")?;
    if crawl.is_empty() {
        table.remove("crawl");
    }
    Some(given)
}

fn watch(entry: &Table, fault: &mut impl FnMut(&str, &str)) -> Option<Watch> {
    let mut is_right = true;
    let mut wrong = |name: &str, why: &str| {
        is_right = false;
        fault(name, why);
    };
    for name in entry.keys() {
        if !SETTINGS.contains(&name.as_str()) {
            wrong(name, &suggestion(name, SETTINGS.into_iter()));
        }
    }
    let mut text = |name: &str, example: &str| match entry.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
        Some(Value::String(_)) | None => {
            wrong(name, &format!("it is missing; write for example {example}"));
            String::new()
        }
        Some(other) => {
            wrong(name, &format!("it is {}, not text", other.type_str()));
            String::new()
        }
    };
    let target = text("link", "link = \"https://example.org/blog\"");
    let author = text("author", "author = \"Ada Lovelace\"");
    let every = text("every", "every = \"1d\"");
    let as_kind = entry.get("as").map(|_| text("as", "as = \"substack\""));
    let as_kind = as_kind.filter(|name| !name.is_empty());
    let reference = entry.get("ref").map(|_| text("ref", "ref = \"main\""));
    if let Some(name) = as_kind.as_deref()
        && !crawl::kinds().any(|kind| kind == name)
    {
        let kinds: Vec<&str> = crawl::kinds().collect();
        wrong("as", &format!("it is none of {}", kinds.join(", ")));
    }
    let every = match span(&every) {
        _ if every.is_empty() => EVERY_MIN,
        Ok(span) => span,
        Err(why) => {
            wrong("every", &why);
            EVERY_MIN
        }
    };
    let request = Request {
        target,
        author,
        as_kind: as_kind.as_deref().map(Kind::of),
        reference,
    };
    if is_right {
        let is_link = request.target.contains("://");
        if !is_link && !std::path::Path::new(&request.target).is_absolute() {
            fault(
                "link",
                "write a link, or the whole path of a file or folder",
            );
            return None;
        }
        if let Err(error) = crawl::examine(&request) {
            fault("link", &error.to_string());
            return None;
        }
    }
    is_right.then_some(Watch { request, every })
}

/// A span of time, as `90m`, `6h`, `1d` or `2w`.
fn span(text: &str) -> Result<Duration, String> {
    let wanted = || {
        format!(
            "{text:?} is no span of time; write minutes, hours, days or weeks as 30m, 6h, 1d, 2w"
        )
    };
    let unit = text.chars().last().ok_or_else(wanted)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wanted()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default().trim();
    let number: u64 = number.parse().map_err(|_| wanted())?;
    let span = Duration::from_secs(number.saturating_mul(seconds));
    if (EVERY_MIN..=EVERY_MAX).contains(&span) {
        Ok(span)
    } else {
        Err(format!("{text} is not in one minute to ten years"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (Vec<Watch>, String) {
        let mut faults = Vec::new();
        let mut file = File::parse(std::path::Path::new("file"), text).unwrap();
        let watches = take(&mut file, &mut faults);
        let faults: Vec<_> = faults.iter().map(Fault::to_string).collect();
        (watches, faults.join("; "))
    }

    #[test]
    fn a_watch_is_a_link_an_author_and_an_interval() {
        let (watches, faults) = taken(
            "[[crawl.watch]]\nlink = 'https://letters.example.org'\nas = 'substack'\nauthor = 'Ada'\n\
             every = '6h'\n[[crawl.watch]]\nlink = '/srv/book'\nauthor = 'Ada'\nevery = '2w'\n",
        );
        assert_eq!(faults, "");
        assert_eq!(watches[0].every, Duration::from_hours(6));
        assert_eq!(watches[0].request.as_kind, Some(Kind::of("substack")));
        assert_eq!(watches[1].every, Duration::from_hours(14 * 24));
    }

    #[test]
    fn every_fault_of_every_entry_is_told() {
        let (watches, faults) = taken(
            "[[crawl.watch]]\nlink = 'https://a.example'\nauthors = 'Ada'\nevery = 'daily'\n\
             [[crawl.watch]]\nlink = 'book'\nauthor = 'Ada'\nevery = '1d'\n\
             [[crawl.watch]]\nlink = 'ftp://a.example'\nauthor = 'Ada'\nevery = '1d'\nas = 'x'\n\
             [[crawl.watch]]\nlink = 'https://b.example'\nauthor = 'Ada'\nevery = '1s'\n\
             [[crawl.watch]]\nlink = 'https://c.example'\nauthor = 'Ada'\nevery = '1d'\n\
             [[crawl.watch]]\nlink = 'https://c.example'\nauthor = 'Eve'\nevery = '1d'\n",
        );
        assert_eq!(watches.len(), 1);
        for part in [
            "crawl.watch[1].authors: there is no such setting; did you mean `author`?",
            "crawl.watch[1].author: it is missing",
            "file:4: crawl.watch[1].every: \"daily\" is no span of time",
            "crawl.watch[2].link: write a link, or the whole path",
            "crawl.watch[3].as: it is none of",
            "crawl.watch[4].every",
            "crawl.watch[6].link: it stands here twice",
        ] {
            assert!(faults.contains(part), "{part} in {faults}");
        }
    }
}
