use clap::{CommandFactory as _, Parser as _};

use super::*;

fn request(arguments: &[&str]) -> Result<Request> {
    let arguments = Arguments::try_parse_from([&["lockstep"], arguments].concat()).unwrap();
    match arguments.command {
        Command::Ask(ask) => ask.request(),
        other => panic!("{other:?} asks nothing"),
    }
}

#[test]
fn the_definition_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_that_asks_shows_an_example() {
    fn check(command: &clap::Command) {
        for command in command.get_subcommands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let ends = command.get_subcommands().next().is_none();
            assert!(
                !ends || help.contains("lockstep "),
                "{}",
                command.get_name()
            );
            check(command);
        }
    }
    check(&Arguments::command());
}

#[test]
fn a_file_is_named_by_its_link_and_anything_else_as_it_is() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let target = |request| match request {
        Request::Explain { target } => target,
        other => panic!("{other:?}"),
    };
    let path = file.path().to_str().unwrap();
    let named = target(request(&["explain", path]).unwrap());
    assert_eq!(named, format!("file://{path}"));
    let other = target(request(&["explain", "articles/1"]).unwrap());
    assert_eq!(other, "articles/1");
}

#[test]
fn dropping_needs_an_id_or_all() {
    assert!(Arguments::try_parse_from(["lockstep", "parked", "drop"]).is_err());
    assert!(Arguments::try_parse_from(["lockstep", "parked", "drop", "1c", "--all"]).is_err());
    assert_eq!(
        request(&["parked", "drop", "--all"]).unwrap(),
        Request::ParkedDrop { id: None }
    );
}

#[test]
fn a_path_that_exists_becomes_absolute_and_a_link_stays() {
    let crawl = |link: &str| match request(&["crawl", link, "--author", " Ada  Lovelace"]) {
        Ok(Request::Crawl { what, wait }) => (what.target, what.author, wait),
        other => panic!("{other:?}"),
    };
    assert!(std::path::Path::new(&crawl("src").0).is_absolute());
    let (link, author, wait) = crawl("https://example.org/src");
    assert_eq!(
        (link.as_str(), author.as_str(), wait),
        ("https://example.org/src", "Ada Lovelace", true)
    );
}

#[test]
fn a_list_of_crawls_is_of_all_links_or_of_one() {
    let link = |arguments: &[&str]| match request(arguments) {
        Ok(Request::CrawlList { link }) => link,
        other => panic!("{other:?}"),
    };
    assert_eq!(link(&["crawl", "--list"]), None);
    assert_eq!(link(&["crawl", "--list", "--json"]), None);
    let one = "https://example.org/src";
    assert_eq!(link(&["crawl", "--list", one]).as_deref(), Some(one));
    let path = link(&["crawl", "--list", "src"]).unwrap();
    assert!(std::path::Path::new(&path).is_absolute());
    let gone = link(&["crawl", "--list", "gone/book"]).unwrap();
    let here = std::env::current_dir().unwrap();
    assert_eq!(here.join("gone/book"), std::path::Path::new(&gone));
    let both = ["lockstep", "crawl", one, "--list"];
    assert!(Arguments::try_parse_from(both).is_err());
}

#[test]
fn an_author_has_a_name_of_any_number_of_words() {
    let author = |name: &str| request(&["crawl", "src", "--author", name]);
    assert!(author("Plato").is_ok() && author("Ada King Lovelace").is_ok());
    assert!(
        author("  ")
            .unwrap_err()
            .to_string()
            .contains("give a name")
    );
}
