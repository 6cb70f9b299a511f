//! Files of an export as LinkedIn writes them.

use super::*;

fn texts(section: Section, csv: &str) -> Vec<String> {
    let rows = section.read("x", csv.as_bytes()).into_iter();
    rows.map(|row| match row {
        Row::Post(post, _) => post.page.text,
        Row::Passed(why) => format!("passed: {why}"),
        Row::Broken(why) => format!("broken: {why}"),
    })
    .collect()
}

#[test]
fn files_are_known_by_their_names_wherever_they_lie() {
    let section = Section::of;
    for name in [
        "Shares.csv",
        "Shares_17529409.csv",
        "Basic_Export/shares.csv",
    ] {
        assert_eq!(section(name), Some(Section::Shares), "{name}");
    }
    assert_eq!(section("Comments_1.csv"), Some(Section::Comments));
    for name in ["Articles/Articles/looms.html", "x/Articles/looms.html"] {
        assert_eq!(section(name), Some(Section::Articles), "{name}");
    }
    for name in [
        "Reactions.csv",
        "messages.csv",
        "looms.html",
        "InstantReposts.csv",
        "",
    ] {
        assert_eq!(section(name), None, "{name}");
    }
}

#[test]
fn shares_and_comments_quote_in_their_own_ways() {
    let shares = "\u{feff}Date,ShareLink,ShareCommentary,SharedUrl,MediaUrl,Visibility\n\
        2026-05-07 16:41:18,https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A1,\
        \"First \"\"one\"\" line\"\"\n\"\"\"\"\n\"\"Second line\",,,PUBLIC\n\
        2026-05-08 16:41:18,https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A2,,https://x,,\n\
        2026-05-09 16:41:18,https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A3,\"One\nTwo\",,,\n";
    let expected = [
        "First \"one\" line\n\nSecond line",
        "passed: a share without words of its own",
        "One\nTwo",
    ];
    assert_eq!(texts(Section::Shares, shares), expected);
    let comments = "Date,Link,Message\n2026-06-10 18:53:49,https://www.linkedin.com/feed/update/\
        urn%3Ali%3Aactivity%3A7,\"Of the \\\"loom\\\",\n\nI say.\"\n";
    assert_eq!(
        texts(Section::Comments, comments),
        ["Of the \"loom\",\n\nI say."]
    );
    assert_eq!(
        texts(Section::Shares, "Foo,Bar\n1,2\n"),
        ["broken: it has no column sharecommentary"]
    );
}

#[test]
fn two_comments_on_one_post_are_two_and_one_without_a_date_is_itself_again() {
    let row = |date: &str, text: &str| {
        let csv = format!(
            "Date,Link,Message\n{date},https://www.linkedin.com/feed/update/\
            urn:li:activity:7,{text}\n"
        );
        match Section::Comments.read("x", csv.as_bytes()).remove(0) {
            Row::Post(post, fields) => (post.identity, fields["comment_on"].clone()),
            other => panic!("{other:?}"),
        }
    };
    let first = row("2026-06-10 18:53:49", "a");
    assert_eq!(
        first.0,
        "https://www.linkedin.com/feed/update/urn:li:activity:7#comment-20260610185349"
    );
    assert_eq!(
        first.1,
        "https://www.linkedin.com/feed/update/urn:li:activity:7"
    );
    assert_ne!(first.0, row("2026-06-10 18:53:50", "a").0);
    assert_eq!(row("", "a"), row("", "a"));
    assert_ne!(row("", "a"), row("", "b"));
}

#[test]
fn comments_of_one_minute_are_as_many_as_there_are_whatever_their_order() {
    let identities = |messages: &[&str]| {
        let row = |message: &&str| {
            format!(
                "2026-06-10 18:53,https://www.linkedin.com/feed/update/urn:li:activity:7,{message}\n"
            )
        };
        let rows: String = messages.iter().map(row).collect();
        let csv = format!("Date,Link,Message\n{rows}");
        let rows = Section::Comments.read("x", csv.as_bytes()).into_iter();
        let identities = rows.map(|row| match row {
            Row::Post(post, _) => post.identity,
            other => panic!("{other:?}"),
        });
        identities.collect::<Vec<_>>()
    };
    let both = identities(&["a", "b"]);
    assert_ne!(both[0], both[1]);
    assert_eq!(identities(&["b", "a"]), [both[1].clone(), both[0].clone()]);
    let alone = identities(&["a"]);
    assert!(alone[0].ends_with("#comment-202606101853"));
    assert_eq!(identities(&["a", "a"]), [alone.clone(), alone].concat());
}

#[test]
fn dates_are_read_and_anything_else_is_none() {
    assert_eq!(
        rfc3339("2026-05-07 16:41:18").as_deref(),
        Some("2026-05-07T16:41:18Z")
    );
    assert_eq!(
        rfc3339("2026-02-24 00:09").as_deref(),
        Some("2026-02-24T00:09:00Z")
    );
    assert_eq!(rfc3339("05/07/26"), None);
}
