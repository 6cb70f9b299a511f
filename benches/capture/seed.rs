//! The seed's way, by a script in its own language and with its own clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::backlog::Backlog;
use crate::{Bench, Outcome, server};

/// Events a second.
pub(crate) async fn rate(bench: &Bench, backlog: &Backlog, events: usize) -> Outcome<f64> {
    let mut command = Command::new(python()?);
    command
        .arg(folder().join("seed.py"))
        .arg(bench.mongo.url())
        .arg(&backlog.settings.database)
        .arg(backlog.start.seconds.to_string())
        .arg(bench.broker.url())
        .arg(events.to_string());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn folder() -> &'static Path {
    Path::new("benches/capture")
}

/// `LOCKSTEP_BENCH_PYTHON`, otherwise one of our own below the target folder.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench is told by its environment where things are"
)]
fn python() -> Outcome<PathBuf> {
    if let Ok(python) = std::env::var("LOCKSTEP_BENCH_PYTHON") {
        return Ok(python.into());
    }
    let venv = server::installed()?.join("bench-venv");
    let python = venv.join("bin/python3");
    let ready = venv.join("is-ready");
    if !ready.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ];
        let requirements = folder().join("requirements.txt");
        done(Command::new(&python).args(install).arg(requirements))?;
        std::fs::write(ready, "")?;
    }
    Ok(python)
}

fn done(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}
