//! The tokens of the HTTP API.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Token {
    /// Make one and show it, this once
    #[command(after_help = "Examples:\n  lockstep token create --name ci")]
    Create {
        /// What it is for
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List them; what is kept of a token lets nobody in
    #[command(after_help = "Examples:\n  lockstep token list\n  lockstep token list --json")]
    List,
    /// Take one away; it lets nobody in from now on
    #[command(after_help = "Examples:\n  lockstep token revoke 1c9d0a7b")]
    Revoke {
        /// Its id
        id: String,
    },
}
