//! Messages that were set aside: arguments to a request.

use clap::{Args, Subcommand};

use super::Wait;
use crate::command::Request;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Parked {
    /// List them
    #[command(after_help = "Examples:\n  lockstep parked list")]
    List,
    /// Show one with its reason
    #[command(after_help = "Examples:\n  lockstep parked show 1c9d")]
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Read their documents again and send them as changes
    #[command(
        after_help = "Examples:\n  lockstep parked retry 1c9d\n  lockstep parked retry --all"
    )]
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        wait: Wait,
    },
    /// Forget them
    #[command(after_help = "Examples:\n  lockstep parked drop 1c9d\n  lockstep parked drop --all")]
    Drop {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct Which {
    /// Its id, or the beginning of it
    id: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Parked {
    pub(super) fn request(self) -> Request {
        match self {
            Self::List => Request::ParkedList {},
            Self::Show { id } => Request::ParkedShow { id },
            Self::Retry { which, wait } => Request::ParkedRetry {
                id: which.id,
                wait: !wait.no_wait,
            },
            Self::Drop { which } => Request::ParkedDrop { id: which.id },
        }
    }
}
