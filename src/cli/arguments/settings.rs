//! Questions about the settings.

use clap::Subcommand;

/// What of the settings is asked for.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(in crate::cli) enum What {
    /// Say everything that is wrong with them, with its place
    #[command(
        after_help = "Examples:\n  lockstep config check\n  lockstep config check --config other.toml --json"
    )]
    Check,
    /// Show each with where it comes from; passwords are hidden
    #[command(after_help = "Examples:\n  lockstep config show\n  lockstep config show --json")]
    Show,
}
