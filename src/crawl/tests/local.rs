//! Files and folders.

use std::fs::{self, File};
use std::path::Path;

use super::*;
use crate::crawl::{Kind, keys_of};
use crate::document::CRAWL_ROOT;

fn sparse(path: &Path, bytes: u64) {
    File::create(path).unwrap().set_len(bytes).unwrap();
}

fn book(pages: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for page in 0..pages {
        let path = folder.path().join(format!("{page:03}.html"));
        fs::write(
            path,
            html(&format!("Page {page}"), &format!("Number {page}.")),
        )
        .unwrap();
    }
    folder
}

#[tokio::test]
async fn crawling_again_writes_what_changed_and_deletes_what_vanished() {
    let (source, book) = (Memory::default(), book(70));
    let at = |name: &str| book.path().join(name);
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (70, 0, 0));
    assert_eq!(source.writes(), 71, "the pages and their author");

    assert_eq!(counts(&crawl_path(&source, book.path()).await), (0, 70, 0));
    assert_eq!(source.writes(), 0, "nothing changed, so nothing is written");

    fs::write(at("003.html"), html("Page 3", "Another text.")).unwrap();
    fs::remove_file(at("069.html")).unwrap();
    fs::write(at("new.html"), html("New", "New.")).unwrap();
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (2, 68, 1));
    assert_eq!(source.documents().len(), 70);
}

#[tokio::test]
async fn a_title_alone_changes_the_document_and_not_its_text() {
    let (source, book) = (Memory::default(), book(1));
    crawl_path(&source, book.path()).await;
    let before = source.documents().remove(0);
    fs::write(
        book.path().join("000.html"),
        html("Another title", "Number 0."),
    )
    .unwrap();
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (1, 0, 0));
    let after = source.documents().remove(0);
    assert_eq!(content(&after, "Title"), "Another title");
    assert_eq!(content(&after, "Content"), content(&before, "Content"));
    assert_eq!(after.key, before.key);
}

#[tokio::test]
async fn a_page_that_cannot_be_read_any_more_keeps_what_is_stored() {
    let (source, book) = (Memory::default(), book(4));
    crawl_path(&source, book.path()).await;
    fs::write(book.path().join("000.html"), "<html><body></body></html>").unwrap();
    sparse(&book.path().join("001.html"), 200 << 20);
    fs::write(
        book.path().join("002.html"),
        "<meta http-equiv=refresh content='0;url=x'>",
    )
    .unwrap();
    let report = crawl_path(&source, book.path()).await;
    assert_eq!(counts(&report), (0, 1, 0));
    assert_eq!(why(&report, "000.html"), "it has no main text");
    assert_eq!(
        why(&report, "001.html"),
        "209715200 bytes, more than the limit of 16777216"
    );
    let said = why(&report, "002.html");
    let leads = said.starts_with("it only leads on to file://") && said.ends_with("/x");
    assert!(leads, "{said}");
    assert_eq!(source.documents().len(), 4);
}

#[tokio::test]
async fn one_page_over_the_limit_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.html");
    sparse(&path, 200 << 20);
    let request = request(path.to_str().unwrap());
    let error = crawl(&Memory::default(), &request, &Settings::default(), &())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has 209715200 bytes, more than the limit of 16777216")
    );
}

#[tokio::test]
async fn a_windows_1251_page_is_stored_in_its_own_letters() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let text = "Съешь же ещё этих мягких французских булок, да выпей чаю. ".repeat(12);
    let page = html("Панграмма", &text).replace("<head>", "<head><meta charset=windows-1251>");
    let path = folder.path().join("page.html");
    fs::write(&path, encoding_rs::WINDOWS_1251.encode(&page).0).unwrap();
    crawl_path(&source, &path).await;
    let document = source.documents().remove(0);
    assert_eq!(content(&document, "Title"), "Панграмма");
    assert!(content(&document, "Content").contains("французских булок, да выпей чаю."));
}

#[tokio::test]
async fn a_page_crawled_by_itself_is_still_found_missing_from_its_folder() {
    let (source, book) = (Memory::default(), book(2));
    crawl_path(&source, book.path()).await;
    let path = book.path().join("001.html");
    assert_eq!(counts(&crawl_path(&source, &path).await), (0, 1, 0));
    let absolute = path.canonicalize().unwrap();
    let keys = keys_of(absolute.to_str().unwrap());
    let stored = source.documents();
    assert!(stored.iter().any(|document| keys.contains(&document.key)));
    fs::remove_file(path).unwrap();
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (0, 1, 1));
}

#[tokio::test]
async fn a_page_of_a_folder_within_a_folder_goes_with_whichever_is_crawled_and_settles() {
    let (source, book) = (Memory::default(), book(2));
    let inner = book.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(inner.join(format!("{name}.html")), html(name, "Inner.")).unwrap();
    }
    crawl_path(&source, book.path()).await;
    assert_eq!(counts(&crawl_path(&source, &inner).await), (3, 0, 0));
    source.writes();
    // Whoever comes next has nothing to write.
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (0, 5, 0));
    assert_eq!(counts(&crawl_path(&source, &inner).await), (0, 3, 0));
    assert_eq!(source.writes(), 0);
    fs::remove_file(inner.join("a.html")).unwrap();
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (0, 4, 1));
    fs::remove_file(inner.join("b.html")).unwrap();
    assert_eq!(counts(&crawl_path(&source, &inner).await), (0, 1, 1));
}

#[tokio::test]
async fn a_folder_that_is_source_code_now_leaves_the_pages_that_another_one_found_to_that() {
    for inner_first in [false, true] {
        let (source, book) = (Memory::default(), book(2));
        let inner = book.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for name in ["a", "b"] {
            fs::write(inner.join(format!("{name}.html")), html(name, "Inner.")).unwrap();
        }
        let as_pages = async || crawl_path(&source, &inner).await;
        if inner_first {
            as_pages().await;
        }
        crawl_path(&source, book.path()).await;
        as_pages().await;
        // A page of the inner folder alone, which the outer one has not seen yet.
        fs::write(inner.join("own.html"), html("Own", "Own.")).unwrap();
        as_pages().await;
        let asked = Request {
            as_kind: Some(Kind::Repository),
            ..request(inner.to_str().unwrap())
        };
        let report = crawl(&source, &asked, &Settings::default(), &()).await;
        assert_eq!(counts(&report.unwrap()), (1, 0, 1), "{inner_first}");
        assert_eq!(source.documents().len(), 5);
        // They are the outer folder's alone: it has nothing to write of them, and its walks alone delete them.
        assert_eq!(counts(&crawl_path(&source, book.path()).await), (1, 4, 0));
        fs::remove_file(inner.join("a.html")).unwrap();
        assert_eq!(counts(&crawl_path(&source, &inner).await), (1, 0, 0));
        assert_eq!(counts(&crawl_path(&source, book.path()).await), (0, 4, 1));
    }
}

#[tokio::test]
async fn a_folder_that_holds_nothing_deletes_nothing_whatever_it_is_read_as() {
    for kind in [None, Some(Kind::Pages), Some(Kind::Repository)] {
        let (source, book) = (Memory::default(), book(3));
        let request = Request {
            as_kind: kind,
            ..request(book.path().to_str().unwrap())
        };
        let crawl = async || {
            crawl(&source, &request, &Settings::default(), &())
                .await
                .unwrap()
        };
        crawl().await;
        let stored = source.documents();
        for page in fs::read_dir(book.path()).unwrap() {
            fs::remove_file(page.unwrap().path()).unwrap();
        }
        let report = crawl().await;
        assert_eq!(counts(&report), (0, 0, 0));
        let said = &report.skipped[0].why;
        assert!(said.contains("a volume that is not mounted"), "{said}");
        assert_eq!(source.documents(), stored);
    }
}

#[tokio::test]
async fn a_folder_stays_what_it_was_read_as_until_somebody_says_otherwise() {
    let (source, book) = (Memory::default(), book(3));
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (3, 0, 0));
    for number in 0..4 {
        fs::write(book.path().join(format!("{number}.txt")), "A note.").unwrap();
    }
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (0, 3, 0));
    source.forget_runs();
    let report = crawl_path(&source, book.path()).await;
    assert_eq!(
        counts(&report),
        (0, 3, 0),
        "what is stored of it tells, too"
    );
    gix::init(book.path()).unwrap();
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (0, 3, 0));
    fs::remove_dir_all(book.path().join(".git")).unwrap();

    let asked = Request {
        as_kind: Some(Kind::Repository),
        ..request(book.path().to_str().unwrap())
    };
    let report = crawl(&source, &asked, &Settings::default(), &()).await;
    assert_eq!(counts(&report.unwrap()), (1, 0, 3));
    for number in 0..4 {
        fs::remove_file(book.path().join(format!("{number}.txt"))).unwrap();
    }
    assert_eq!(counts(&crawl_path(&source, book.path()).await), (1, 0, 0));
    assert_eq!(source.documents()[0].key.kind, "repositories");
}

#[cfg(unix)]
#[tokio::test]
async fn a_symlink_loop_is_reported_and_harmless() {
    use std::os::unix::fs::symlink;
    let (source, book) = (Memory::default(), book(2));
    crawl_path(&source, book.path()).await;
    symlink(book.path(), book.path().join("loop")).unwrap();
    let report = crawl_path(&source, book.path()).await;
    assert_eq!(counts(&report), (0, 2, 0));
    assert_eq!(why(&report, "loop"), "a symbolic link, not followed");
}

#[tokio::test]
async fn a_source_folder_is_one_document_and_large_files_cost_nothing() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("src/lib.rs", "pub fn answer() -> u32 { 42 }\n");
    write("README.md", "# Answer\n");
    write("Cargo.lock", "version = 4\n");
    write("vendor/other.rs", "fn other() {}\n");
    sparse(&folder.path().join("disk.img"), 1 << 30);
    let report = crawl_path(&source, folder.path()).await;
    assert_eq!(counts(&report), (1, 0, 0));
    assert_eq!(
        why(&report, "disk.img"),
        "1073741824 bytes, more than the limit of 1048576"
    );
    assert_eq!(why(&report, "Cargo.lock"), "lock file");
    let document = source.documents().remove(0);
    let paths: Vec<_> = document.fields["content"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(paths, ["README.md", "src/lib.rs"]);
    assert_eq!(document.fields["platform"], "folder");
    assert_eq!(document.fields[CRAWL_ROOT], document.fields["link"]);
}

#[tokio::test]
async fn a_repository_that_shrinks_loses_its_surplus_parts() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    for name in ["a.rs", "b.rs", "c.rs"] {
        fs::write(folder.path().join(name), "x".repeat(600)).unwrap();
    }
    let settings = Settings {
        repository_bytes_max: 1_000,
        ..Settings::default()
    };
    let request = Request {
        as_kind: Some(Kind::Repository),
        ..request(folder.path().to_str().unwrap())
    };
    let crawl = async || crawl(&source, &request, &settings, &()).await.unwrap();
    assert_eq!(counts(&crawl().await), (3, 0, 0));
    fs::remove_file(folder.path().join("c.rs")).unwrap();
    assert_eq!(counts(&crawl().await), (0, 2, 1));
}
