//! Steering the capture of a MongoDB: arguments to an order.

use clap::{Subcommand, ValueEnum};

use crate::run::Order;

#[derive(Debug, Subcommand)]
pub(crate) enum Control {
    /// Show or move the position of the capture of a MongoDB
    #[command(subcommand)]
    Position(Position),
    /// Let the capture of a MongoDB stand still, also over restarts
    #[command(after_help = "Examples:\n  lockstep pause capture")]
    Pause {
        /// What is to stand still
        role: Role,
    },
    /// Let it go on
    #[command(after_help = "Examples:\n  lockstep resume capture")]
    Resume {
        /// What is to go on
        role: Role,
    },
    /// Ask the capture of a MongoDB to read a type again, or everything
    #[command(after_help = "Examples:\n  lockstep snapshot\n  lockstep snapshot articles")]
    Snapshot {
        /// The type
        #[arg(value_name = "TYPE")]
        kind: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Position {
    /// Say where it is, who captures, and how long the source will still know it
    #[command(after_help = "Examples:\n  lockstep position show --json")]
    Show,
    /// Forget it and read everything again; capture has to be paused
    #[command(
        after_help = "Examples:\n  lockstep position reset\n  lockstep position reset --new-epoch"
    )]
    Reset {
        /// Make every version newer than all before: after the source was restored or replaced
        #[arg(long)]
        new_epoch: bool,
    },
    /// Go back to a moment and send everything since then again; capture has to be paused
    #[command(after_help = "Examples:\n  lockstep position rewind --to 2026-01-31T12:00:00Z")]
    Rewind {
        /// The moment, RFC 3339
        #[arg(long)]
        to: String,
    },
}

/// What can stand still.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// MongoDB to RabbitMQ
    Capture,
}

impl Control {
    /// What capture is to do.
    pub(crate) fn order(self) -> Order {
        match self {
            Self::Position(Position::Show) => Order::Show,
            Self::Position(Position::Reset { new_epoch }) => Order::Reset { new_epoch },
            Self::Position(Position::Rewind { to }) => Order::Rewind { to },
            Self::Pause {
                role: Role::Capture,
            } => Order::Pause,
            Self::Resume {
                role: Role::Capture,
            } => Order::Resume,
            Self::Snapshot { kind } => Order::Snapshot { kind },
        }
    }
}
