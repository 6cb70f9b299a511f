//! The `lockstep` command.

use std::process::ExitCode;

#[expect(
    clippy::disallowed_methods,
    reason = "the one lookup that is handed to the settings"
)]
fn main() -> ExitCode {
    lockstep::cli::main(std::env::args_os(), |name| std::env::var(name).ok())
}
