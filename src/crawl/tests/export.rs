//! LinkedIn's data export, as a ZIP on disk. Its files and columns are those that public readers of the
//! export document (`Shares.csv`: `Date`, `ShareLink`, `ShareCommentary`, `SharedUrl`, `MediaUrl`,
//! `Visibility`; `Comments.csv`: `Date`, `Link`, `Message`; `Articles/Articles/*.html` with `created` and
//! `published`).

use std::fs::File;
use std::io::Write as _;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const SHARES: &str = "Date,ShareLink,ShareCommentary,SharedUrl,MediaUrl,Visibility\n\
    2026-05-07 16:41:18,https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A1,\
    \"Of looms\"\"\n\"\"and engines\",https://example.org/a,,MEMBER_NETWORK\n\
    2026-05-08 16:41:18,https://www.linkedin.com/feed/update/urn%3Ali%3AugcPost%3A2,Second,,,\n\
    2026-05-09 16:41:18,https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A3,,,,\n";
const COMMENTS: &str = "Date,Link,Message\n\
    2026-06-10 18:53:49,https://www.linkedin.com/feed/update/urn%3Ali%3Aactivity%3A7,\"So \\\"it\\\" is\"\n";

fn article(published: &str) -> String {
    format!(
        "<html><head><title>On looms</title><style>body {{ width: 744px; }}</style></head><body>\
         <img src=\"https://media.licdn.com/x\" alt=\"\" title=\"\" />\
         <h1><a href=\"https://www.linkedin.com/pulse/looms-ada-lovelace-x1\">On looms</a></h1>\
         <p class=\"created\">Created on 2026-02-24 00:06</p>{published}\
         <div><h3>Patterns</h3><p>{LONG}</p><p>{LONG}</p><p>{LONG}</p></div></body></html>"
    )
}

/// Writes an archive of these files, as LinkedIn names it.
fn archive(folder: &Path, files: &[(&str, &str)]) -> std::path::PathBuf {
    let path = folder.join("Complete_LinkedInDataExport_05-10-2026.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    path
}

fn links(source: &Memory) -> Vec<String> {
    let documents = source.documents().into_iter();
    let mut links: Vec<_> = documents
        .map(|one| format!("{} {}", one.key.kind, one.fields["link"].as_str().unwrap()))
        .collect();
    links.sort();
    links
}

#[tokio::test]
async fn an_export_is_read_whole_and_what_its_sections_have_no_more_is_deleted() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let published = article("<p class=\"published\">Published on 2026-02-24 00:09</p>");
    let files = [
        ("Shares_17529409.csv", SHARES),
        ("Comments_17529409.csv", COMMENTS),
        ("Articles/Articles/looms.html", &*published),
        ("Articles/Articles/draft.html", &*article("")),
        ("messages.csv", "CONVERSATION ID,CONTENT\n1,private\n"),
    ];
    let report = crawl_path(&source, &archive(folder.path(), &files)).await;
    assert_eq!(counts(&report), (4, 0, 0));
    assert_eq!(
        why(&report, "Shares_17529409.csv"),
        "a share without words of its own"
    );
    assert_eq!(why(&report, "draft.html"), "a draft, never published");
    let update = "https://www.linkedin.com/feed/update/urn:li:";
    let expected = [
        "articles https://www.linkedin.com/pulse/looms-ada-lovelace-x1".to_owned(),
        format!("posts {update}activity:7"),
        format!("posts {update}share:1"),
        format!("posts {update}ugcPost:2"),
    ];
    assert_eq!(links(&source), expected);
    let documents = source.documents();
    let of = |end: &str| {
        let mut found = documents.iter();
        found
            .find(|one| one.fields["link"].as_str().unwrap().ends_with(end))
            .unwrap()
    };
    let share = of("share:1");
    assert_eq!(content(share, "Content"), "Of looms\nand engines");
    assert_eq!(share.fields["published_at"], "2026-05-07T16:41:18Z");
    assert_eq!(share.fields["shared_link"], "https://example.org/a");
    assert_eq!(content(of("activity:7"), "Content"), "So \"it\" is");
    let looms = of("looms-ada-lovelace-x1");
    assert_eq!(content(looms, "Title"), "On looms");
    assert_eq!(looms.fields["published_at"], "2026-02-24T00:09:00Z");
    let text = content(looms, "Content");
    assert!(
        text.contains("### Patterns") && !text.contains("Created on"),
        "{text}"
    );

    // The next export has other choices made: no comments, and one share less.
    let fewer = SHARES
        .lines()
        .filter(|line| !line.contains("ugcPost"))
        .collect::<Vec<_>>()
        .join("\n");
    let again = archive(folder.path(), &[("Shares.csv", &*fewer)]);
    assert_eq!(counts(&crawl_path(&source, &again).await), (0, 1, 1));
    let kept: Vec<_> = expected
        .iter()
        .filter(|link| !link.contains("ugcPost"))
        .cloned()
        .collect();
    assert_eq!(links(&source), kept);
}

#[tokio::test]
async fn of_two_rows_with_one_link_the_last_is_stored_and_stays_however_often_they_are_read() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    let edited = SHARES
        .lines()
        .find(|line| line.contains("ugcPost"))
        .unwrap();
    let both = format!("{SHARES}{}\n", edited.replace("Second", "Edited"));
    let archive = archive(folder.path(), &[("Shares.csv", &*both)]);
    assert_eq!(counts(&crawl_path(&source, &archive).await), (2, 0, 0));
    let stored = source.documents();
    let texts: Vec<_> = stored.iter().map(|one| content(one, "Content")).collect();
    assert!(texts.contains(&"Edited".to_owned()), "{texts:?}");
    source.writes();
    assert_eq!(counts(&crawl_path(&source, &archive).await), (0, 2, 0));
    assert_eq!((source.writes(), source.documents()), (0, stored));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_deletes_nothing_and_another_archive_is_refused() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    crawl_path(&source, &archive(folder.path(), &[("Shares.csv", SHARES)])).await;
    let report = crawl_path(
        &source,
        &archive(folder.path(), &[("Shares.csv", "a,b\n1,2\n")]),
    )
    .await;
    assert_eq!(counts(&report), (0, 0, 0));
    assert_eq!(
        why(&report, "Shares.csv"),
        "it has no column sharecommentary"
    );
    assert_eq!(source.documents().len(), 2);

    let other = archive(folder.path(), &[("photo.txt", "x")]);
    let request = request(other.to_str().unwrap());
    let said = crawl(&source, &request, &Settings::default(), &())
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("no export of LinkedIn"), "{said}");
    std::fs::write(&other, "PK but no archive").unwrap();
    let said = crawl(&source, &request, &Settings::default(), &())
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("no ZIP"), "{said}");
}

#[tokio::test]
async fn a_bomb_in_an_export_is_left_out_and_deletes_nothing() {
    let (source, folder) = (Memory::default(), tempfile::tempdir().unwrap());
    crawl_path(&source, &archive(folder.path(), &[("Shares.csv", SHARES)])).await;
    let bomb = " ".repeat(65 << 20);
    let report = crawl_path(&source, &archive(folder.path(), &[("Shares.csv", &*bomb)])).await;
    assert_eq!(counts(&report), (0, 0, 0));
    assert!(why(&report, "Shares.csv").contains("more than the limit of 67108864"));
    assert_eq!(source.documents().len(), 2);
}
