//! The `lockstep` command.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = std::env::vars_os().collect();
    lockstep::cli::main(std::env::args_os(), &environment)
}
