//! The authors: arguments to a request.

use clap::Subcommand;

use super::Wait;
use crate::command::Request;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Author {
    /// List them, with how many documents each has
    #[command(after_help = "Examples:\n  lockstep author list")]
    List,
    /// Give one another name; nothing is embedded again
    #[command(
        after_help = "Examples:\n  lockstep author rename \"Ada Byron\" \"Ada King Lovelace\""
    )]
    Rename {
        /// A name or an id
        author: String,
        /// The name from now on
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Delete one
    #[command(after_help = "Examples:\n  lockstep author delete \"Ada Lovelace\" --documents")]
    Delete {
        /// A name or an id
        author: String,
        /// Delete their documents too; without, an author who has some stays
        #[arg(long)]
        documents: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

impl Author {
    pub(super) fn request(self) -> Request {
        match self {
            Self::List => Request::AuthorList {},
            Self::Rename { author, name, wait } => Request::AuthorRename {
                author,
                name,
                wait: !wait.no_wait,
            },
            Self::Delete {
                author,
                documents,
                wait,
            } => Request::AuthorDelete {
                author,
                documents,
                wait: !wait.no_wait,
            },
        }
    }
}
