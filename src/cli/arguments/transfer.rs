//! What is copied as a whole, and where to.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::migrate::{Options, Side};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Transfer {
    /// Copy everything from the data folder to services or back, make the index there, and compare
    #[command(after_help = "Examples:
  lockstep migrate --to services --dry-run
  lockstep migrate --to services --config services.toml     # again, to go on where it was interrupted
  lockstep migrate --to embedded --data ./data --replace

The settings name the services (source.url, queue.url); the data folder is the embedded side. Nothing may write \
to either meanwhile: stop `up`, `capture`, `feature` and crawls first.")]
    Migrate(Migrate),
    /// Copy the data folder, also while `lockstep up` works on it
    #[command(after_help = "Examples:
  lockstep backup ./backups/monday
  lockstep backup ./backups/monday --data ./data --json")]
    Backup {
        /// The folder that it becomes; it must not be there yet
        folder: PathBuf,
    },
    /// Make a new data folder of a backup
    #[command(after_help = "Examples:
  lockstep restore ./backups/monday --data ./restored
  lockstep restore ./backups/monday --data ./restored --config lockstep.toml")]
    Restore {
        /// The folder of the backup
        backup: PathBuf,
    },
}

/// One of the two kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// MongoDB, RabbitMQ and the index that the settings name
    Services,
    /// The data folder
    Embedded,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Migrate {
    /// Where to
    #[arg(long, value_enum)]
    to: To,
    /// Say how much it is, and copy nothing
    #[arg(long)]
    dry_run: bool,
    /// Make the target equal, also where it holds something of its own, which is removed or overwritten
    #[arg(long)]
    replace: bool,
}

impl Migrate {
    /// What is wanted.
    pub(in crate::cli) fn options(&self) -> Options {
        Options {
            to: match self.to {
                To::Services => Side::Services,
                To::Embedded => Side::Embedded,
            },
            dry_run: self.dry_run,
            replace: self.replace,
        }
    }
}
