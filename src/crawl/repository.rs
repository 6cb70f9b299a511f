//! Source code on disk or in git to documents of type `repositories`.

use std::path::Path;

use super::attributes::Attributes;
use super::bundle::Bundle;
use super::harvest::{Context, Found, Harvest, Missed};
use super::sift::{self, Tally};
use super::walk::{Step, steps};
use super::{Skipped, pages};
use crate::Result;
use crate::document::{Part, Repository};

/// Takes a repository's files one by one and hands documents on as they fill.
pub(crate) struct Intake<'a> {
    repository: &'a Repository,
    context: &'a Context,
    harvest: &'a Harvest,
    attributes: Attributes,
    bundle: Bundle,
    tally: Tally,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(
        repository: &'a Repository,
        context: &'a Context,
        harvest: &'a Harvest,
    ) -> Self {
        Self {
            repository,
            context,
            harvest,
            attributes: Attributes::default(),
            bundle: Bundle::new(context.settings.repository_bytes_max),
            tally: Tally::default(),
        }
    }

    /// The same, with what the repository says of its files.
    pub(crate) fn with(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }

    /// Whether a file of this path and size is wanted; counts it if not.
    pub(crate) fn wants(&mut self, path: &str, bytes: u64) -> bool {
        let limit = self.context.settings.file_bytes_max;
        let why = sift::by_path(path, self.attributes.of(path)).map(str::to_owned);
        match why.or_else(|| sift::by_size(bytes, limit)) {
            Some(why) => self.pass(path, why),
            None => return true,
        }
        false
    }

    /// Takes a wanted file's bytes.
    pub(crate) fn add(&mut self, path: String, bytes: Vec<u8>) {
        match sift::text(&path, bytes, self.attributes.of(&path)) {
            Ok(text) => {
                if let Some(part) = self.bundle.add(path, text) {
                    self.hand_on(part);
                }
            }
            Err(why) => self.pass(&path, why),
        }
    }

    /// Counts something that is passed over.
    pub(crate) fn pass(&mut self, path: &str, why: impl Into<String>) {
        self.tally.add(path, why);
    }

    /// Hands on the last document and the count of what was left out.
    pub(crate) fn finish(mut self) {
        if let Some(part) = std::mem::replace(&mut self.bundle, Bundle::new(0)).finish() {
            self.hand_on(part);
        }
        for skipped in self.tally.lines() {
            self.harvest
                .send(Found::Missed(Missed { skipped, key: None }));
        }
    }

    fn hand_on(&self, part: Part) {
        let document = self.repository.document(part, &self.context.author);
        self.harvest.send(Found::Document(document));
    }
}

/// Reads a folder of source code that has no history. Blocks.
pub(crate) fn folder(root: &Path, context: &Context, harvest: &Harvest) -> Result<()> {
    let repository = Repository {
        platform: "folder",
        name: name_of(root),
        link: context.root.clone(),
        identity: context.root.clone(),
    };
    let mut intake = Intake::new(&repository, context, harvest);
    let limit = context.settings.file_bytes_max;
    let mut is_empty = true;
    for step in steps(root, true) {
        is_empty &= matches!(step, Step::Failed(_));
        match step {
            Step::Failed(why) => harvest.send(Found::Unseen(Skipped::one(context.root(), why))),
            Step::Passed(path, why) => intake.pass(&relative(root, &path), why),
            Step::File(file, bytes) => {
                let path = relative(root, &file);
                if !intake.wants(&path, bytes) {
                    continue;
                }
                match pages::contents(&file, limit) {
                    Ok(bytes) => intake.add(path, bytes),
                    // The one document would lose this file's text: better to keep what is stored.
                    Err(error) => {
                        return Err(crate::Error::Fetch {
                            link: file.display().to_string(),
                            why: format!("{error}; the whole folder stays as it is stored"),
                        });
                    }
                }
            }
        }
        if harvest.is_closed() {
            return Ok(());
        }
    }
    if is_empty {
        harvest.send(pages::holds_nothing(context));
        return Ok(());
    }
    intake.finish();
    Ok(())
}

/// A folder's own name, without the `.git` of a bare repository.
pub(crate) fn name_of(path: &Path) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    name.strip_suffix(".git").unwrap_or(&name).to_owned()
}

fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
