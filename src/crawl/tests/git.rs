//! Git repositories, made with gix as they are read with it.

use std::path::Path;

use gix::actor::SignatureRef;
use gix::objs::Tree;
use gix::objs::tree::{Entry, EntryKind};

use super::*;

/// Commits these files over everything before; none as text removes a file.
pub(super) fn commit(repository: &gix::Repository, files: &[(&str, Option<&[u8]>)]) {
    let head = repository.head_commit().ok();
    let base = match &head {
        Some(commit) => commit.tree_id().unwrap().detach(),
        None => repository.empty_tree().id().detach(),
    };
    let mut tree = repository.edit_tree(base).unwrap();
    for (path, bytes) in files {
        match bytes {
            Some(bytes) => {
                let blob = repository.write_blob(bytes).unwrap();
                tree.upsert(*path, EntryKind::Blob, blob).unwrap();
            }
            None => {
                tree.remove(*path).unwrap();
            }
        }
    }
    let tree = tree.write().unwrap();
    commit_tree(repository, tree.detach());
}

/// Commits a tree of these entries over everything before.
fn commit_tree(repository: &gix::Repository, tree: gix::ObjectId) {
    let parents = repository.head_id().ok().map(gix::Id::detach);
    repository
        .commit_as(who(), who(), "HEAD", "work", tree, parents)
        .unwrap();
}

fn who() -> SignatureRef<'static> {
    SignatureRef {
        name: "Ada".into(),
        email: "ada@example.org".into(),
        time: "1700000000 +0000",
    }
}

/// A tree in which each of these names stands for the same thing.
fn tree_of(
    repository: &gix::Repository,
    names: impl Iterator<Item = String>,
    (oid, kind): (gix::ObjectId, EntryKind),
) -> gix::ObjectId {
    let entry = |name: String| Entry {
        mode: kind.into(),
        filename: name.into(),
        oid,
    };
    let tree = Tree {
        entries: names.map(entry).collect(),
    };
    repository.write_object(&tree).unwrap().detach()
}

pub(super) fn paths(document: &Document) -> Vec<String> {
    document.fields["content"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[tokio::test]
async fn the_committed_state_of_head_is_stored_without_what_nobody_wrote() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let repository = gix::init(folder.path()).unwrap();
    let large = vec![b'x'; 2 << 20];
    commit(
        &repository,
        &[
            ("src/main.rs", Some(b"fn main() {}\n")),
            ("src/deep/er/mod.rs", Some(b"mod a;\n")),
            ("logo.png", Some(b"\x89PNG\0")),
            ("Cargo.lock", Some(b"version = 4\n")),
            ("node_modules/x/i.js", Some(b"x()")),
            ("large.sql", Some(&large)),
        ],
    );
    std::fs::write(folder.path().join("uncommitted.rs"), "fn nobody() {}").unwrap();

    let report = crawl_path(&source, folder.path()).await;
    assert_eq!(counts(&report), (1, 0, 0));
    let document = source.documents().remove(0);
    assert_eq!(paths(&document), ["src/deep/er/mod.rs", "src/main.rs"]);
    assert_eq!(content(&document, "src/main.rs"), "fn main() {}\n");
    assert_eq!(document.fields["owner_full_name"], "Ada Lovelace");
    assert_eq!(why(&report, "logo.png"), "binary");
    assert_eq!(why(&report, "Cargo.lock"), "lock file");
    assert_eq!(why(&report, "i.js"), "vendored or built");
    assert_eq!(
        why(&report, "large.sql"),
        "2097152 bytes, more than the limit of 1048576"
    );
}

#[tokio::test]
async fn what_gitattributes_calls_generated_or_vendored_is_left_out_and_what_it_does_not_is_kept() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let repository = gix::init(folder.path()).unwrap();
    commit(
        &repository,
        &[
            (
                ".gitattributes",
                Some(
                    b"schema.rs linguist-generated\nvendor/ours/** -linguist-vendored\n\
                    *.dat binary\n",
                ),
            ),
            ("api/.gitattributes", Some(b"*.rs linguist-vendored=true\n")),
            ("schema.rs", Some(b"struct A;\n")),
            ("table.dat", Some(b"1 2 3\n")),
            ("src/lib.rs", Some(b"mod a;\n")),
            ("vendor/ours/a.rs", Some(b"fn ours() {}\n")),
            ("vendor/theirs/a.rs", Some(b"fn theirs() {}\n")),
            ("api/client.rs", Some(b"fn client() {}\n")),
        ],
    );
    let report = crawl_path(&source, folder.path()).await;
    let kept = paths(&source.documents()[0]);
    assert_eq!(
        kept,
        [
            ".gitattributes",
            "api/.gitattributes",
            "src/lib.rs",
            "vendor/ours/a.rs"
        ]
    );
    assert_eq!(
        why(&report, "client.rs"),
        "generated or vendored, as .gitattributes says"
    );
    assert_eq!(why(&report, "vendor/theirs/a.rs"), "vendored or built");
    assert_eq!(why(&report, "table.dat"), "binary, as .gitattributes says");
}

#[tokio::test]
async fn a_commit_that_changes_no_kept_file_writes_nothing() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let repository = gix::init(folder.path()).unwrap();
    commit(
        &repository,
        &[("a.rs", Some(b"fn a() {}")), ("b.rs", Some(b"fn b() {}"))],
    );
    crawl_path(&source, folder.path()).await;
    commit(&repository, &[("Cargo.lock", Some(b"version = 4\n"))]);
    assert_eq!(counts(&crawl_path(&source, folder.path()).await), (0, 1, 0));
    commit(&repository, &[("b.rs", None)]);
    assert_eq!(counts(&crawl_path(&source, folder.path()).await), (1, 0, 0));
    assert_eq!(paths(&source.documents()[0]), ["a.rs"]);
}

#[tokio::test]
async fn a_bare_repository_by_file_link_is_read_like_any_other() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let path = folder.path().join("work.git");
    let repository = gix::init_bare(&path).unwrap();
    commit(&repository, &[("a.rs", Some(b"fn a() {}"))]);
    let link = url::Url::from_file_path(&path).unwrap();
    let report = crawl(&source, &request(link.as_str()), &Settings::default(), &())
        .await
        .unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    assert_eq!(source.documents()[0].fields["name"], "work");
}

#[tokio::test]
async fn a_repository_without_a_commit_is_an_error_and_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    gix::init(folder.path()).unwrap();
    let request = request(folder.path().to_str().unwrap());
    let error = crawl(&Memory::default(), &request, &Settings::default(), &())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("file://"), "{error}");
    assert!(error.ends_with("nothing is committed there yet"), "{error}");
}

#[tokio::test]
async fn a_clone_from_a_private_address_is_refused_and_leaves_nothing_behind() {
    let tmp = tempfile::tempdir().unwrap();
    let settings = Settings {
        tmp: tmp.path().to_owned(),
        ..Settings::default()
    };
    for link in ["http://127.0.0.1:9/a.git", "http://localhost:9/a.git"] {
        let result = crawl(&Memory::default(), &request(link), &settings, &()).await;
        let said = result.unwrap_err().to_string();
        assert!(said.contains("is a private address"), "{said}");
    }
    assert_eq!(entries(tmp.path()), 0);
}

pub(super) fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn a_repository_larger_than_a_document_may_be_is_stored_in_parts_that_fit() {
    /// What MongoDB takes.
    const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let repository = gix::init_bare(folder.path().join("large.git")).unwrap();
    let path = |number: usize| format!("{}/{number}.rs", "deep".repeat(50));
    let line = "let answer = 42; // as is known\n";
    let large: Vec<_> = (0..40)
        .map(|number| (path(number), line.repeat(30_000 - number)))
        .collect();
    let small = (40..5_040).map(|number| (path(number), "x\n".to_owned()));
    let files: Vec<_> = large.into_iter().chain(small).collect();
    let given: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), Some(text.as_bytes())))
        .collect();
    commit(&repository, &given);
    let report = crawl_path(&source, repository.path()).await;
    assert_eq!(counts(&report), (4, 0, 0));
    let documents = source.documents();
    let sizes = documents.iter().map(|document| {
        let bytes = bson::serialize_to_vec(&document.fields).unwrap();
        bytes.len()
    });
    for size in sizes {
        assert!(size < DOCUMENT_BYTES_MAX - 1_000_000, "{size} bytes");
    }
    let kept: usize = documents.iter().map(|one| paths(one).len()).sum();
    assert_eq!(kept, files.len());

    let gone: Vec<_> = files[1..]
        .iter()
        .map(|(path, _)| (path.as_str(), None))
        .collect();
    commit(&repository, &gone);
    let report = crawl_path(&source, repository.path()).await;
    assert_eq!(
        counts(&report),
        (1, 0, 3),
        "parts that are no more are deleted"
    );
}

#[tokio::test]
async fn a_state_that_unfolds_without_end_is_refused_and_what_is_stored_of_it_stays() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let git = gix::init_bare(folder.path()).unwrap();
    commit(&git, &[("a.rs", Some(b"fn a() {}"))]);
    crawl_path(&source, folder.path()).await;
    let stored = source.documents();
    let text = (git.write_blob("text").unwrap().detach(), EntryKind::Blob);
    // Four levels of a thousand names: a million million files in four objects.
    let repeated = (0..4).fold(text, |below, _| {
        let names = (1_000..2_000).map(|number| number.to_string());
        (tree_of(&git, names, below), EntryKind::Tree)
    });
    let deep = (0..20).fold(text, |below, _| {
        let names = std::iter::once("d".repeat(250));
        (tree_of(&git, names, below), EntryKind::Tree)
    });
    let large = git.write_blob(vec![b'x'; 1 << 20]).unwrap().detach();
    let names = (10_000..14_200).map(|number| format!("{number}.txt"));
    let many = tree_of(&git, names, (large, EntryKind::Blob));
    for (tree, expected) in [
        (repeated.0, "it has more than 1000000 files and folders"),
        (deep.0, "nested deeper than a path of 4096 bytes can name"),
        (many, "its files have 4404019200 bytes together"),
    ] {
        commit_tree(&git, tree);
        let request = request(folder.path().to_str().unwrap());
        let refused = crawl(&source, &request, &Settings::default(), &()).await;
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
        assert!(said.ends_with("what is stored of it stays"), "{said}");
        assert_eq!(source.documents(), stored);
    }
}
