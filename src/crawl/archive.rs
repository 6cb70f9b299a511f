//! A ZIP on disk: LinkedIn's data export. Blocks.
//!
//! Nothing is unpacked to disk, and of each file no more than a limit is unpacked at all. A section
//! that the export has is complete: what of it was stored before and is not there any more was
//! deleted by the member. One that it has not, since another choice was made this time, is left alone.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zip::ZipArchive;

use super::harvest::{Context, Found, Harvest, Missed};
use super::platform::LINKEDIN;
use super::platform::export::{Row, Section};
use super::sift::Tally;
use super::{Skipped, pages};
use crate::document::key_of_link;
use crate::{Error, Result};

/// Bytes of one file of the export, unpacked: a thousand times what a busy member writes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Bytes of all files of the export together, unpacked.
const BYTES_MAX: u64 = 1 << 30;

/// Whether a file's name says that it is a ZIP.
pub(crate) fn is_archive(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// The roots of an author's documents from exports, by section.
pub(crate) fn root(author: &str, section: Section) -> String {
    format!("linkedin-export:{author}/{}", section.name())
}

/// Looks which sections the archive has.
///
/// # Errors
/// [`Error::Fetch`] for what is no archive, or none of LinkedIn's.
pub(crate) fn sections(path: &Path) -> Result<BTreeSet<Section>> {
    let archive = open(path)?;
    let found: BTreeSet<_> = archive.file_names().filter_map(Section::of).collect();
    if found.is_empty() {
        let why =
            "it is no export of LinkedIn: it has neither Shares.csv nor Comments.csv nor Articles";
        return Err(fail(path, why));
    }
    Ok(found)
}

/// Reads every post, comment and article of the archive.
pub(crate) fn read(path: &Path, context: &Context, harvest: &Harvest) -> Result<()> {
    let mut archive = open(path)?;
    let (mut tally, mut total) = (Tally::default(), 0);
    for at in 0..archive.len() {
        if harvest.is_closed() {
            return Ok(());
        }
        let file = archive
            .by_index(at)
            .map_err(|error| fail(path, &error.to_string()))?;
        let name = file.name().to_owned();
        let Some(section) = Section::of(&name) else {
            continue;
        };
        let mut bytes = Vec::new();
        let unpacked = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        let broken = match unpacked {
            Err(error) => Some(error.to_string()),
            Ok(length) => super::sift::by_size(length as u64, FILE_BYTES_MAX),
        };
        total += bytes.len() as u64;
        if total > BYTES_MAX {
            return Err(Error::TooLarge {
                thing: path.display().to_string(),
                bytes: total,
                limit: BYTES_MAX,
            });
        }
        if let Some(why) = broken {
            harvest.send(Found::Unseen(Skipped::one(&name, why)));
            continue;
        }
        let context = Context {
            root: root(context.author.id(), section),
            ..context.clone()
        };
        for row in pages::with_room(|| section.read(&name, &bytes))? {
            take(row, &name, &context, (harvest, &mut tally));
        }
    }
    for skipped in tally.lines() {
        harvest.send(Found::Missed(Missed { skipped, key: None }));
    }
    Ok(())
}

fn take(row: Row, name: &str, context: &Context, (harvest, tally): (&Harvest, &mut Tally)) {
    match row {
        Row::Passed(why) => tally.add(name, why),
        Row::Broken(why) => harvest.send(Found::Unseen(Skipped::one(name, why))),
        Row::Post(post, fields) => {
            let (key, link) = (key_of_link(post.kind, &post.identity), post.link.clone());
            match post.document(LINKEDIN, context) {
                Ok(mut document) => {
                    document.fields.extend(fields);
                    harvest.send(Found::Document(document));
                }
                Err(why) => harvest.send(Found::Missed(Missed {
                    skipped: Skipped::one(&link, why),
                    key: Some(key),
                })),
            }
        }
    }
}

fn open(path: &Path) -> Result<ZipArchive<File>> {
    let file = File::open(path).map_err(|error| fail(path, &error.to_string()))?;
    ZipArchive::new(file).map_err(|error| fail(path, &format!("it is no ZIP: {error}")))
}

fn fail(path: &Path, why: &str) -> Error {
    Error::Fetch {
        link: path.display().to_string(),
        why: why.to_owned(),
    }
}
