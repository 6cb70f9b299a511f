//! The commands and their arguments, with their help.

mod author;
mod control;
mod crawl;
mod export;
mod parked;
mod partitions;
mod search;
mod settings;
mod token;
mod transfer;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use url::Url;

use crate::command::{Reindex, Request};
use crate::config::Place;
use crate::{Error, Result};

use author::Author;
pub(super) use control::Control;
pub(super) use crawl::Crawl;
pub(super) use export::Export;
use parked::Parked;
pub(super) use partitions::Partitions;
use search::Search;
pub(super) use settings::What;
pub(super) use token::Token;
pub(super) use transfer::Transfer;

const DATA_HELP: &str =
    "The folder that holds all data [env: LOCKSTEP_DATA; default: the platform's data folder]";
const CONFIG_HELP: &str =
    "The settings' file [env: LOCKSTEP_CONFIG; default: lockstep.toml in the data folder]";
const EXIT_CODES: &str = "\
Exit codes:
  0  done as asked
  1  something went wrong
  2  the arguments or settings cannot be
  3  nothing was found, or what was named is not known
  4  verify, migrate, restore: source and index differ; migrate: the two sources differ
  5  the data folder cannot be used: held by a process that does not answer, of a newer format, \
or damaged
  6  search --at-least: not everything up to that version is searchable yet; what is there was shown
  7  search --at-least: the change of that version is parked; what is there was shown
  130  a signal ended it

Every command works on the data folder: through the running process when there is one, otherwise \
by itself, until the index has caught up. Where source.url and queue.url are set, it asks those services, \
and `capture`, `feature`, `position`, `pause`, `resume` and `snapshot` are about them.

Settings are read from lockstep.toml in the data folder and from LOCKSTEP_… variables; \
docs/configuration.md lists them, and `lockstep config show` says what holds here.";

/// Keeps a vector index in lockstep with a document store.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(super) struct Arguments {
    #[arg(long, global = true, value_name = "FOLDER", help = DATA_HELP)]
    data: Option<PathBuf>,
    #[arg(long, global = true, value_name = "FILE", help = CONFIG_HELP)]
    config: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run everything in one process until it is stopped
    #[command(after_help = "Examples:\n  lockstep up\n  lockstep up --data ./data")]
    Up,
    /// Carry the changes of a MongoDB to RabbitMQ until it is stopped; others stand by
    #[command(after_help = "Examples:
  LOCKSTEP_SOURCE_URL='mongodb://localhost:27017/?replicaSet=rs0' \\
  LOCKSTEP_QUEUE_URL=amqp://localhost:5672 lockstep capture")]
    Capture,
    /// Carry changes from RabbitMQ to the index until it is stopped; as many processes as you like
    #[command(after_help = "Examples:
  lockstep feature
  lockstep feature --partitions 0-3,8")]
    Feature {
        /// These partitions only, as 0-3,8; otherwise all workers share them among themselves
        #[arg(long, value_name = "LIST", value_parser = partitions::read)]
        partitions: Option<Partitions>,
    },
    /// Answer over HTTP from the services until it is stopped; as many processes as you like
    #[command(after_help = "Examples:
  lockstep serve
  LOCKSTEP_SERVE_LISTEN=0.0.0.0:7411 lockstep serve    # where there is a token")]
    Serve,
    /// Look at everything that is needed here, and say how to mend what is not as it should be
    #[command(after_help = "Examples:\n  lockstep doctor\n  lockstep doctor --json")]
    Doctor,
    /// Check the settings, or show them and where each comes from
    #[command(subcommand)]
    Config(What),
    /// Make, list or revoke the tokens that the HTTP API lets in
    #[command(subcommand)]
    Token(Token),
    /// Write the index as lines of JSON: documents, chunks, or chunks with their vectors
    #[command(after_help = "Examples:
  lockstep export > documents.jsonl
  lockstep export --what vectors --type articles --output vectors.jsonl --manifest vectors.json
  lockstep export --what chunks --author \"Ada Lovelace\" --since 2026-01-31")]
    Export(Export),
    #[command(flatten)]
    Transfer(Transfer),
    #[command(flatten)]
    Control(Control),
    #[command(flatten)]
    Ask(Ask),
    /// Run the whole flow over models that misbehave on a seed, and check its promises
    #[command(after_help = "Examples:\n  lockstep simulate --seed 7 --steps 500")]
    Simulate {
        /// Decides everything that happens
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How much happens
        #[arg(long, default_value_t = 200)]
        steps: u64,
    },
    /// Print the completions of a shell
    #[command(
        after_help = "Examples:\n  lockstep completions bash > /etc/bash_completion.d/lockstep"
    )]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Ask {
    /// Read a page, a publication, a file, a folder or a git repository; again to take over what changed
    #[command(after_help = "Examples:
  lockstep crawl https://example.org/an-article --author \"Ada Lovelace\"
  lockstep crawl https://medium.com/@ada --author \"Ada Lovelace\"
  lockstep crawl https://letters.example.org --as substack --author \"Ada Lovelace\"
  lockstep crawl https://app.example.org/page --browser --author \"Ada Lovelace\"
  lockstep crawl ./book --author \"Ada Lovelace\"
  lockstep crawl https://example.org/engine.git --author \"Ada Lovelace\"
  lockstep crawl https://github.com/ada/engine --ref v1.2 --author \"Ada Lovelace\"
  lockstep crawl https://github.com/ada --author \"Ada Lovelace\"
  lockstep crawl --links links.txt --author \"Ada Lovelace\"
  lockstep crawl --list
  lockstep crawl --schedule")]
    Crawl(Crawl),
    /// Find text by meaning and by words
    #[command(after_help = "Examples:
  lockstep search \"how do I share state between threads\"
  lockstep search \"retry delay\" --type repositories --limit 3
  lockstep search \"analytical engine\" --author \"Ada Lovelace\" --json
  lockstep search \"ENOSPC\" --mode words
  lockstep search \"borrowing\" --since 2024-01-01 --platform medium --language en --diverse
  lockstep search \"talking stick\" --at-least 1.0.57.0 --wait 5")]
    Search(Box<Search>),
    /// Delete a document from source and index
    #[command(after_help = "Examples:\n  lockstep delete https://example.org/an-article")]
    Delete {
        /// Its link or id
        target: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Count what is there and what is on its way
    #[command(after_help = "Examples:\n  lockstep status\n  lockstep status --json")]
    Status,
    /// List, show, retry or drop messages that were set aside
    #[command(subcommand)]
    Parked(Parked),
    /// Say where a document stands: source, queue, manifest, points, last error
    #[command(after_help = "Examples:\n  lockstep explain https://example.org/an-article")]
    Explain {
        /// Its link or id
        target: String,
    },
    /// List, rename or delete the authors of documents
    #[command(subcommand)]
    Author(Author),
    /// Compare the whole source with the whole index
    #[command(after_help = "Examples:\n  lockstep verify\n  lockstep verify --vectors --json")]
    Verify {
        /// Embed every text again and compare the vectors too
        #[arg(long)]
        vectors: bool,
        /// Send the documents that differ again
        #[arg(long)]
        repair: bool,
    },
    /// Read a document or a whole type again and send it as a change
    #[command(after_help = "Examples:
  lockstep resync https://example.org/an-article
  lockstep resync articles")]
    Resync {
        /// A link, an id, or a type
        target: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make the index anew beside the old one, with the configured model, and switch when it is done
    #[command(after_help = "Examples:
  lockstep reindex --dry-run
  lockstep reindex
  lockstep reindex --drop")]
    Reindex {
        /// Say how many chunks, how long and how many bytes it would take, and do nothing
        #[arg(long, conflicts_with_all = ["drop", "anyway", "no_wait"])]
        dry_run: bool,
        /// Give up the one that is being made, and remove it
        #[arg(long, conflicts_with_all = ["anyway", "no_wait"])]
        drop: bool,
        /// Also where it would come out the same
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Answer before the index has caught up, where a running process goes on with it
    #[arg(long)]
    no_wait: bool,
}

impl Arguments {
    pub(super) fn place(&self) -> Place {
        Place {
            data: self.data.clone(),
            file: self.config.clone(),
        }
    }
}

impl Ask {
    /// What to ask for. Paths become absolute: the process that answers has another folder.
    pub(super) fn request(self) -> Result<Request> {
        Ok(match self {
            Self::Crawl(crawl) => crawl.request()?,
            Self::Search(search) => search.request(),
            Self::Delete { target, wait } => Request::Delete {
                target: named(target)?,
                wait: !wait.no_wait,
            },
            Self::Status => Request::Status {},
            Self::Parked(parked) => parked.request(),
            Self::Explain { target } => Request::Explain {
                target: named(target)?,
            },
            Self::Author(author) => author.request(),
            Self::Verify { vectors, repair } => Request::Verify { vectors, repair },
            Self::Reindex { dry_run: true, .. } => Request::Reindex(Reindex::DryRun),
            Self::Reindex { drop: true, .. } => Request::Reindex(Reindex::Drop),
            Self::Reindex { anyway, wait, .. } => Request::Reindex(Reindex::Run {
                anyway,
                wait: !wait.no_wait,
            }),
            Self::Resync { target, wait } => Request::Resync {
                target: named(target)?,
                wait: !wait.no_wait,
            },
        })
    }
}

pub(super) fn absolute(link: String) -> Result<String> {
    if std::path::Path::new(&link).exists() {
        whole(&link)
    } else {
        Ok(link)
    }
}

/// The whole path, whether anything is there or not.
fn whole(link: &str) -> Result<String> {
    let unusable = |why: String| Error::Config {
        setting: link.to_owned(),
        why,
    };
    let path = std::path::absolute(link).map_err(|error| unusable(error.to_string()))?;
    let path = path.into_os_string().into_string();
    path.map_err(|_| unusable("its path is no Unicode text".into()))
}

/// What names a document: a file by its link, as a crawl stores it; anything else as it is.
fn named(target: String) -> Result<String> {
    if !std::path::Path::new(&target).is_file() {
        return Ok(target);
    }
    let path = absolute(target)?;
    Ok(Url::from_file_path(&path).map_or(path, String::from))
}

fn full_name(author: &str) -> Result<String> {
    let words: Vec<&str> = author.split_whitespace().collect();
    if words.is_empty() {
        return Err(Error::Config {
            setting: "--author".into(),
            why: "give a name, as --author \"Ada Lovelace\"".into(),
        });
    }
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests;
