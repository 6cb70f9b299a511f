//! Repositories from a real server on the loopback address, fetched and fetched again. Where git is not
//! installed, a test says so and does nothing.

use std::path::Path;

use axum::response::Redirect;
use axum::routing::get;
use gix::refs::transaction::PreviousValue;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::git::{commit, entries, paths};
use super::shelf::{HUSH, Shelf, github, has_git, on_github, repository};
use super::web::serve;
use super::*;

const SECOND: &str = "fn second() {}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_private_repository_is_read_with_the_token_which_no_other_host_sees_and_nothing_keeps() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/private-engine", "fn weave() {}\n");
    let shelf = Shelf::new(&folder, Some(HUSH));
    let server = serve(shelf.router()).await;
    let source = Memory::default();
    let request = on_github(&server, "ada/private-engine");
    let crawl = async |settings: Settings| crawl(&source, &request, &settings, &()).await;

    let elsewhere = Settings {
        github_url: "https://github.com".to_owned(),
        ..github(&server, "hush", &tmp)
    };
    for settings in [github(&server, "", &tmp), elsewhere] {
        let said = crawl(settings).await.unwrap_err().to_string();
        assert!(said.contains("set crawl.github_token"), "{said}");
        assert!(shelf.shown.lock().unwrap().is_empty(), "a token was shown");
    }
    let said = crawl(github(&server, "wrong-one", &tmp)).await.unwrap_err();
    let said = said.to_string();
    assert!(said.contains("does not take crawl.github_token"), "{said}");
    assert!(!said.contains("wrong-one"), "the token is in {said}");

    let settings = Settings {
        clones: Some(tmp.path().join("clones")),
        ..github(&server, "hush", &tmp)
    };
    let report = crawl(settings).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0));
    let document = source.documents().remove(0);
    assert_eq!(document.fields["platform"], "github");
    assert_eq!(document.fields["name"], "private-engine");
    assert_eq!(content(&document, "src/lib.rs"), "fn weave() {}\n");
    assert_eq!(document.fields["languages"], json!({"src/lib.rs": "Rust"}));
    let written = format!("{report:?}{:?}", source.everything()) + &texts_below(tmp.path());
    let (_, coded) = HUSH.split_once(' ').unwrap();
    assert!(!written.contains("hush") && !written.contains(coded));
}

/// Everything in the files of a folder.
fn texts_below(folder: &Path) -> String {
    let files = crate::crawl::walk::walk(folder, false).flatten();
    let files = files.filter(|file| file.path().is_file());
    files
        .map(|file| String::from_utf8_lossy(&std::fs::read(file.path()).unwrap()).into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_a_tag_or_a_commit_is_read_where_it_is_named() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let repository = repository(&folder, "ada/engine.git", "fn first() {}\n");
    let first = repository.head_id().unwrap().detach();
    for name in ["refs/heads/feat/old", "refs/tags/v1"] {
        repository
            .reference(name, first, PreviousValue::MustNotExist, "old")
            .unwrap();
    }
    commit(&repository, &[("src/lib.rs", Some(SECOND.as_bytes()))]);
    let server = serve(Shelf::new(&folder, None).router()).await;
    let settings = github(&server, "", &tmp);
    let read = async |target: &str, reference: Option<&str>| {
        let source = Memory::default();
        let request = Request {
            reference: reference.map(str::to_owned),
            ..request(target)
        };
        crawl(&source, &request, &settings, &()).await?;
        Ok::<_, crate::Error>(content(&source.documents()[0], "src/lib.rs"))
    };
    let remote = format!("{}/ada/engine.git", server.origin);
    let local = folder.path().join("ada/engine.git");
    for target in [remote.as_str(), local.to_str().unwrap()] {
        assert_eq!(read(target, None).await.unwrap(), SECOND, "{target}");
        for name in ["feat/old", "refs/heads/feat/old", "v1", &first.to_string()] {
            let text = read(target, Some(name)).await.unwrap();
            assert_eq!(text, "fn first() {}\n", "{target} {name}");
        }
        let missing = read(target, Some("nowhere")).await.unwrap_err().to_string();
        assert!(
            missing.contains("no branch, tag or commit nowhere"),
            "{missing}"
        );
        for name in ["a:b", "", "^a", "a b", "../a"] {
            let odd = read(target, Some(name)).await.unwrap_err().to_string();
            assert!(odd.contains("can have this name"), "{odd}");
        }
    }
    let page = read(&format!("{}/page", server.origin), Some("v1")).await;
    let page = page.unwrap_err().to_string();
    assert!(page.contains("only one repository has branches"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_crawl_fetches_only_what_is_new() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let repository = repository(&folder, "ada/engine", "fn first() {}\n");
    commit(
        &repository,
        &[("large.txt", Some(noise(40_000).as_bytes()))],
    );
    let shelf = Shelf::new(&folder, None);
    let server = serve(shelf.router()).await;
    let settings = Settings {
        clones: Some(tmp.path().join("clones")),
        ..github(&server, "", &tmp)
    };
    let (source, request) = (Memory::default(), on_github(&server, "ada/engine"));
    let crawl = async || {
        let report = crawl(&source, &request, &settings, &()).await.unwrap();
        (counts(&report), shelf.sent())
    };
    let (everything, sent) = crawl().await;
    assert_eq!(everything, (1, 0, 0));
    assert!(sent > 20_000, "{sent} bytes for everything");

    commit(&repository, &[("src/lib.rs", Some(SECOND.as_bytes()))]);
    let (one_line, sent) = crawl().await;
    assert_eq!(one_line, (1, 0, 0));
    assert!(sent < 2_000, "{sent} bytes for one line");
    let document = source.documents().remove(0);
    assert_eq!(paths(&document), ["large.txt", "src/lib.rs"]);
    assert_eq!(content(&document, "src/lib.rs"), SECOND);

    let (nothing, sent) = crawl().await;
    assert_eq!(nothing, (0, 1, 0));
    assert!(sent < 1_000, "{sent} bytes for nothing");

    // One that was damaged is fetched anew.
    let kept = std::fs::read_dir(tmp.path().join("clones")).unwrap();
    let kept = kept.map(|entry| entry.unwrap().path()).next().unwrap();
    std::fs::remove_dir_all(kept.join("objects")).unwrap();
    let (again, sent) = crawl().await;
    assert_eq!(again, (0, 1, 0));
    assert!(sent > 20_000, "{sent} bytes for everything");
    assert_eq!(crawl().await.0, (0, 1, 0), "and kept again");
}

/// Letters that no compression makes small.
fn noise(letters: usize) -> String {
    (0..letters).map(|_| fastrand::alphanumeric()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_was_rewritten_is_taken_as_it_is_now() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let kept = repository(&folder, "ada/engine", "fn first() {}\n");
    let first = kept.head_id().unwrap().detach();
    commit(&kept, &[("secret.rs", Some(b"fn secret() {}\n"))]);
    let server = serve(Shelf::new(&folder, None).router()).await;
    let settings = Settings {
        clones: Some(tmp.path().join("clones")),
        ..github(&server, "", &tmp)
    };
    let (source, request) = (Memory::default(), on_github(&server, "ada/engine"));
    let crawl = async || counts(&crawl(&source, &request, &settings, &()).await.unwrap());
    assert_eq!(crawl().await, (1, 0, 0));

    // Back to what came before, and from there elsewhere.
    let branch = kept.head_name().unwrap().unwrap().as_bstr().to_string();
    kept.reference(branch.as_str(), first, PreviousValue::Any, "back")
        .unwrap();
    assert_eq!(crawl().await, (1, 0, 0));
    assert_eq!(paths(&source.documents()[0]), ["src/lib.rs"]);
    commit(&kept, &[("src/lib.rs", Some(SECOND.as_bytes()))]);
    assert_eq!(crawl().await, (1, 0, 0));
    assert_eq!(content(&source.documents()[0], "src/lib.rs"), SECOND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_repository_or_has_nothing_says_so_and_keeps_what_is_stored() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/engine", "fn first() {}\n");
    gix::init_bare(folder.path().join("ada/empty")).unwrap();
    let router = Shelf::new(&folder, None).router();
    let router = router
        .route("/ada/page/info/refs", get(async || "<p>welcome</p>"))
        .route(
            "/ada/members/info/refs",
            get(async || Redirect::to("/login?then=/ada/members")),
        )
        .route(
            "/ada/round/info/refs",
            get(async || Redirect::permanent("/ada/round/info/refs")),
        );
    let server = serve(router).await;
    let settings = Settings {
        clones: Some(tmp.path().join("clones")),
        ..github(&server, "", &tmp)
    };
    let source = Memory::default();
    let said = async |path: &str| {
        let crawled = crawl(&source, &on_github(&server, path), &settings, &()).await;
        crawled.map_or_else(|error| error.to_string(), |report| format!("{report:?}"))
    };
    for (path, reason) in [
        ("ada/empty", "nothing is committed there yet"),
        ("ada/gone", "there is no repository of this name"),
        ("ada/page", "it is no git repository"),
        ("ada/members", "or for members only"),
        ("ada/round", "redirected more than 5 times"),
    ] {
        let said = said(path).await;
        assert!(said.contains(reason) && said.contains(path), "{said}");
    }

    said("ada/engine").await;
    std::fs::remove_dir_all(folder.path().join("ada/engine")).unwrap();
    let gone = said("ada/engine").await;
    assert!(gone.contains("no repository of this name"), "{gone}");
    assert_eq!(source.documents().len(), 1, "what is stored stays");
    assert_eq!(entries(&tmp.path().join("clones")), 1, "what is kept stays");
    assert_eq!(entries(tmp.path()), 1, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_moved_is_stored_once_under_its_new_link() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    repository(&folder, "ada/old", "fn weave() {}\n");
    let shelf = Shelf::new(&folder, None);
    let server = serve(shelf.router()).await;
    let settings = github(&server, "", &tmp);
    let source = Memory::default();
    let old = on_github(&server, "ada/old");
    crawl(&source, &old, &settings, &()).await.unwrap();

    let ada = folder.path().join("ada");
    std::fs::rename(ada.join("old"), ada.join("new")).unwrap();
    shelf.redirect("/ada/old", 301, "/ada/new");
    shelf.redirect("/ada/away", 302, "/ada/new");
    shelf.redirect("/ada/inner", 301, "http://169.254.169.254/a");
    let report = crawl(&source, &old, &settings, &()).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 1));
    let link = format!("{}/ada/new", server.origin);
    assert_eq!(source.documents().len(), 1);
    assert_eq!(source.documents()[0].fields["link"], link);
    assert!(why(&report, "ada/old").ends_with("ada/new, and is stored under that link"));
    let again = crawl(&source, &old, &settings, &()).await.unwrap();
    assert_eq!(counts(&again), (0, 1, 0));

    let away = on_github(&server, "ada/away");
    let report = crawl(&source, &away, &settings, &()).await.unwrap();
    assert_eq!(
        counts(&report),
        (1, 0, 0),
        "away for now: it keeps its link"
    );
    let inner = on_github(&server, "ada/inner");
    let inner = crawl(&source, &inner, &settings, &()).await.unwrap_err();
    assert!(inner.to_string().contains("a private address"), "{inner}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_unpacks_to_hundreds_of_megabytes_is_refused() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bomb = repository(&folder, "ada/bomb", "fn first() {}\n");
    commit(&bomb, &[("zeros.txt", Some(&vec![b'0'; 257 << 20]))]);
    let server = serve(Shelf::new(&folder, None).router()).await;
    let settings = github(&server, "", &tmp);
    let source = Memory::default();
    let crawled = crawl(&source, &on_github(&server, "ada/bomb"), &settings, &()).await;
    let said = crawled.unwrap_err().to_string();
    assert!(said.contains("too large to fit in memory"), "{said}");
    assert_eq!(source.documents().len(), 0);
    assert_eq!(entries(tmp.path()), 0, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_is_over_the_limit_when_it_is_done_is_refused_however_fast_it_came() {
    if !has_git() {
        return;
    }
    let (folder, tmp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let repository = repository(&folder, "ada/engine", "fn weave() {}\n");
    // Bytes that no packing makes less, and more than an empty repository has.
    let noise = (0..10_000).flat_map(|number: u32| {
        let digest = Sha256::digest(number.to_le_bytes());
        digest.to_vec()
    });
    let noise: Vec<u8> = noise.collect();
    commit(&repository, &[("noise", Some(&noise))]);
    let server = serve(Shelf::new(&folder, None).router()).await;
    let settings = Settings {
        clone_bytes_max: 200_000,
        ..github(&server, "", &tmp)
    };
    let request = on_github(&server, "ada/engine");
    let refused = crawl(&Memory::default(), &request, &settings, &()).await;
    assert!(
        matches!(refused, Err(crate::Error::TooLarge { limit: 200_000, .. })),
        "{refused:?}"
    );
}
