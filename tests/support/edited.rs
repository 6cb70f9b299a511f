//! A folder of pages that is edited, and the knowledge which of their texts must be gone.

use std::collections::BTreeMap;
use std::path::Path;

use fastrand::Rng;
use tempfile::TempDir;

/// Pages that there may be over the run.
const PAGES: usize = 500;
/// Paragraphs of a page at most: enough for several chunks.
pub(crate) const PARAGRAPHS: usize = 4;
const WORDS: [&str; 16] = [
    "loom", "engine", "harbour", "pattern", "garden", "number", "letter", "bridge", "river",
    "copper", "winter", "orchard", "signal", "lantern", "market", "stone",
];

/// A paragraph of a page; its text says it, with its revision, in every sentence.
pub(crate) type Paragraph = (usize, usize);
/// Grows with every change of a paragraph, also over deletions.
pub(crate) type Revision = u32;

/// The pages as they are now, and as they were when the index was last known to have caught up.
pub(crate) struct Edited {
    folder: TempDir,
    /// The paragraphs' revisions of each page that exists.
    now: BTreeMap<usize, Vec<Revision>>,
    /// The last revision of each paragraph that ever was.
    last: BTreeMap<Paragraph, Revision>,
    /// No search may give a revision below.
    oldest: BTreeMap<Paragraph, Revision>,
}

impl Edited {
    /// Half of the pages.
    pub(crate) fn new(random: &mut Rng) -> Self {
        let mut new = Self {
            folder: tempfile::tempdir().unwrap(),
            now: BTreeMap::new(),
            last: BTreeMap::new(),
            oldest: BTreeMap::new(),
        };
        for page in 0..PAGES / 2 {
            new.create(page, random);
        }
        new
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn len(&self) -> usize {
        self.now.len()
    }

    /// How many pages there were over the run.
    pub(crate) fn ever(&self) -> usize {
        let pages = self.last.keys().map(|(page, _)| *page);
        pages.collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Creates, changes and deletes some.
    pub(crate) fn edit(&mut self, random: &mut Rng) {
        for _ in 0..random.usize(10..80) {
            let page = random.usize(0..PAGES);
            if !self.now.contains_key(&page) {
                self.create(page, random);
            } else if random.u8(0..3) == 0 {
                self.now.remove(&page);
                std::fs::remove_file(self.file(page)).unwrap();
            } else {
                let count = self.now.get(&page).map_or(1, Vec::len);
                self.revise(page, random.usize(0..count));
                self.write(page);
            }
        }
    }

    fn create(&mut self, page: usize, random: &mut Rng) {
        let count = random.usize(1..=PARAGRAPHS);
        self.now.insert(page, vec![0; count]);
        for paragraph in 0..count {
            self.revise(page, paragraph);
        }
        self.write(page);
    }

    fn revise(&mut self, page: usize, paragraph: usize) {
        let revision = self.last.entry((page, paragraph)).or_default();
        *revision += 1;
        self.now.get_mut(&page).unwrap()[paragraph] = *revision;
    }

    fn write(&self, page: usize) {
        let texts = self.now[&page].iter().enumerate();
        let texts = texts.map(|(paragraph, revision)| text((page, paragraph), *revision));
        let body: Vec<String> = texts.map(|text| format!("<p>{text}</p>\n")).collect();
        let body = body.concat();
        let html = format!(
            "<!doctype html><html lang='en'><head><title>Page {page}</title></head><body><article>\
             <h1>Page {page}</h1>{body}</article></body></html>"
        );
        std::fs::write(self.file(page), html).unwrap();
    }

    fn file(&self, page: usize) -> std::path::PathBuf {
        self.folder().join(format!("{page}.html"))
    }

    /// The index was reported to have caught up with the folder as it is.
    pub(crate) fn settled(&mut self) {
        for (paragraph, last) in &self.last {
            let now = self.now_of(*paragraph);
            self.oldest.insert(*paragraph, now.unwrap_or(last + 1));
        }
    }

    fn now_of(&self, (page, paragraph): Paragraph) -> Option<Revision> {
        self.now.get(&page)?.get(paragraph).copied()
    }

    /// Some texts that are gone.
    pub(crate) fn gone(&self, count: usize) -> Vec<String> {
        let gone = self.oldest.iter().filter(|(_, oldest)| **oldest > 1);
        let gone = fastrand::choose_multiple(gone, count);
        let text = |(paragraph, oldest): (&Paragraph, &Revision)| text(*paragraph, oldest - 1);
        gone.into_iter().map(text).collect()
    }

    /// Fails where the text tells a revision that must be gone.
    pub(crate) fn assert_not_gone(&self, text: &str) {
        for (paragraph, revision) in marks(text) {
            let oldest = self.oldest.get(&paragraph).copied().unwrap_or(0);
            assert!(
                revision >= oldest,
                "{paragraph:?} in revision {revision} is found, though from {oldest} on it was \
                 reported gone: {text}"
            );
        }
    }

    /// Fails where the texts tell anything but the pages as they are now.
    pub(crate) fn assert_all_in<'a>(&self, texts: impl Iterator<Item = &'a str>) {
        let found: BTreeMap<_, _> = texts.flat_map(marks).collect();
        let now = self.now.iter().flat_map(|(page, revisions)| {
            let paragraphs = revisions.iter().enumerate();
            paragraphs.map(|(paragraph, revision)| ((*page, paragraph), *revision))
        });
        assert_eq!(found, now.collect());
    }
}

/// The same text whenever it is asked for.
pub(crate) fn text(paragraph: Paragraph, revision: Revision) -> String {
    let (page, number) = paragraph;
    let mut random =
        Rng::with_seed((page * PARAGRAPHS + number) as u64 ^ u64::from(revision) << 32);
    let mut word = || WORDS[random.usize(0..WORDS.len())];
    let mut sentence = || {
        let words: Vec<_> = (0..12).map(|_| word()).collect();
        format!(
            "Mark d{page}p{number}r{revision} tells of {}.",
            words.join(" ")
        )
    };
    [sentence(), sentence(), sentence(), sentence()].join(" ")
}

/// The paragraphs and revisions that a text tells.
pub(crate) fn marks(text: &str) -> Vec<(Paragraph, Revision)> {
    let mark = |word: &str| {
        let (page, rest) = word.strip_prefix('d')?.split_once('p')?;
        let (paragraph, revision) = rest.split_once('r')?;
        let paragraph = (page.parse().ok()?, paragraph.parse().ok()?);
        Some((paragraph, revision.parse().ok()?))
    };
    text.split(|c: char| !c.is_alphanumeric())
        .filter_map(mark)
        .collect()
}
