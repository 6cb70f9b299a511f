//! The command line: arguments in, text or JSON out, an exit code at the end.
//!
//! ```text
//! arguments ──> Request ──┬─ running process ─┐
//!                         └─ in process ──────┴─> Response ──> text for people | --json
//! ```

mod arguments;
mod exit;
mod export;
mod links;
mod progress;
mod render;
mod transfer;

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use tokio::runtime::Runtime;

use crate::command::{Handler as _, Reporter, Request, Response, Status};
use crate::config::{self, Config, Environment};
use crate::run::Work as _;
use crate::serve::Client;
use crate::token::Tokens;
use crate::{Error, Result, clock, doctor, run, shutdown, simulate, telemetry};

use arguments::{Arguments, Ask, Command, Crawl, Token, What};
pub use exit::Exit;
use links::Links;

/// Reads the command, does it, and says how it went.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    match execute(arguments, environment) {
        Ok(exit) => exit.into(),
        Err(error) => exit::fail(&error).into(),
    }
}

fn execute(arguments: Arguments, environment: &Environment) -> Result<Exit> {
    let json = arguments.json;
    let place = arguments.place();
    match arguments.command {
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "lockstep", &mut text);
            print(&String::from_utf8_lossy(&text))
        }
        Command::Simulate { seed, steps } => {
            quiet(config::load(place, environment)?)?;
            simulated(&simulate::run(seed, steps, None), json)
        }
        Command::Up => {
            let config = config::load(place, environment)?;
            telemetry::start(&config.log)?;
            runtime()?.block_on(up(config))
        }
        Command::Capture => {
            let config = config::load(place, environment)?;
            telemetry::start(&config.log)?;
            // It reads and publishes in one task; a thread more costs memory, and the client of the
            // queue has one of its own.
            runtime_of(1)?.block_on(async {
                let done = shutdown::until_insisted(|shutdown| run::capture(config, shutdown));
                Ok(Box::pin(done)
                    .await?
                    .map_or(Exit::Interrupted, |()| Exit::Done))
            })
        }
        Command::Feature { partitions } => {
            let config = config::load(place, environment)?;
            telemetry::start(&config.log)?;
            let partitions = partitions.map(|list| list.0);
            runtime()?.block_on(async {
                let run = |shutdown| run::feature(config, partitions, shutdown);
                let done = shutdown::until_insisted(run);
                Ok(Box::pin(done)
                    .await?
                    .map_or(Exit::Interrupted, |()| Exit::Done))
            })
        }
        Command::Serve => serve(config::load(place, environment)?),
        Command::Export(asked) => {
            let config = quiet(config::load(place, environment)?)?;
            runtime()?.block_on(export::export(config, asked, json))
        }
        Command::Transfer(what) => transfer::transfer(what, place, environment, json),
        Command::Token(what) => {
            let config = quiet(config::load(place, environment)?)?;
            token(&config, what, json)
        }
        Command::Doctor => diagnose(config::read(place, environment)?, json),
        Command::Config(what) => settings(config::read(place, environment)?, what, json),
        Command::Control(control) => {
            let config = quiet(config::load(place, environment)?)?;
            let stance = runtime()?.block_on(run::control(&config, control.order()))?;
            print(&if json {
                render::pretty(&stance)?
            } else {
                render::stance(&stance)
            })
        }
        Command::Ask(Ask::Crawl(crawl)) if crawl.schedule => {
            let config = config::load(place, environment)?;
            telemetry::start(&config.log)?;
            runtime()?.block_on(scheduled(config))
        }
        Command::Ask(ask) => {
            let config = quiet(config::load(place, environment)?)?;
            asked(config, ask, json)
        }
    }
}

/// Says what is wrong with the settings, or what they are.
fn settings(reading: config::Reading, what: What, json: bool) -> Result<Exit> {
    let shown = config::Shown::from(reading);
    print(&match (json, what) {
        (true, _) => render::pretty(&shown)?,
        (false, What::Check) => render::faults(&shown),
        (false, What::Show) => render::settings(&shown),
    })?;
    Ok(if shown.faults.is_empty() {
        Exit::Done
    } else {
        Exit::Usage
    })
}

/// Asks for something, or for every line of a list.
fn asked(config: Config, ask: Ask, json: bool) -> Result<Exit> {
    if let Ask::Crawl(crawl) = &ask
        && let Some(path) = &crawl.links
    {
        let list = list((crawl, path), &config, json)?;
        return runtime()?.block_on(listed(config, list));
    }
    let request = ask.request()?;
    let answer = shutdown::until_insisted(|shutdown| answer(config, request, shutdown));
    match runtime()?.block_on(answer)?.flatten() {
        Some(response) => show(&response, json),
        None => Ok(Exit::Interrupted),
    }
}

/// Looks at everything, where the settings are right at all.
fn diagnose(reading: config::Reading, json: bool) -> Result<Exit> {
    let diagnosis = if reading.faults.is_empty() {
        let config = quiet(reading.config)?;
        runtime()?.block_on(Box::pin(run::doctor(config)))?
    } else {
        doctor::misread(&reading.faults)
    };
    print(&if json {
        render::pretty(&diagnosis)?
    } else {
        render::diagnosis(&diagnosis)
    })?;
    Ok(if diagnosis.is_healthy() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// A command's own work is told by its answer; the log is for what goes wrong.
fn quiet(mut config: Config) -> Result<Config> {
    if config.log == config::Log::default() {
        config.log.filter = "error,lapin=off,lockstep=warn".into();
    }
    telemetry::start(&config.log)?;
    Ok(config)
}

/// A thread a processor.
fn runtime() -> Result<Runtime> {
    runtime_of(std::thread::available_parallelism().map_or(1, NonZero::get))
}

fn runtime_of(threads: usize) -> Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    runtime.map_err(Error::unavailable("the system", "start threads"))
}

/// Runs everything until a signal asks for the end.
async fn up(config: Config) -> Result<Exit> {
    let done = shutdown::until_insisted(|shutdown| {
        Box::pin(run::up(config, shutdown::requested(shutdown), |address| {
            anstream::eprintln!("lockstep is up at {address} (stop it with Ctrl-C)");
        }))
    });
    Ok(done.await?.map_or(Exit::Interrupted, |()| Exit::Done))
}

/// Answers from the services until a signal asks for the end.
fn serve(config: Config) -> Result<Exit> {
    telemetry::start(&config.log)?;
    let done = shutdown::until_insisted(|shutdown| {
        Box::pin(run::serve(config, shutdown, |address| {
            anstream::eprintln!("lockstep answers at {address} (stop it with Ctrl-C)");
        }))
    });
    let done = runtime()?.block_on(done)?;
    Ok(done.map_or(Exit::Interrupted, |()| Exit::Done))
}

/// The file of the tokens is changed here, and whoever answers reads it again.
fn token(config: &Config, what: Token, json: bool) -> Result<Exit> {
    let tokens = Tokens::of(config.serve.tokens_in(&config.data));
    let text = match what {
        Token::Create { name } => {
            let created = tokens.create(&name, clock::Clock::system().now_ms())?;
            if json {
                render::pretty(&created)?
            } else {
                render::created(&created)
            }
        }
        Token::List if json => render::pretty(&tokens.list()?)?,
        Token::List => render::tokens(&tokens.list()?),
        Token::Revoke { id } => {
            let revoked = tokens.revoke(&id)?;
            if json {
                render::pretty(&revoked)?
            } else {
                format!("{id} lets nobody in any more\n")
            }
        }
    };
    print(&text)
}

/// Keeps the schedule until a signal asks for the end.
async fn scheduled(config: Config) -> Result<Exit> {
    // On services whoever answers for the folder may be a worker, which keeps no schedule; and several
    // may keep one.
    let is_embedded = !config.source.url.is_set();
    if is_embedded && Client::find(&config.data).await?.is_some() {
        return Err(Error::Config {
            setting: "--schedule".into(),
            why: "`lockstep up` runs on this data folder and keeps the schedule already".into(),
        });
    }
    let done = shutdown::until_insisted(|shutdown| {
        let shutdown = shutdown::requested(shutdown);
        Box::pin(run::schedule(config, shutdown, |address| {
            anstream::eprintln!("the schedule is kept, at {address} (stop it with Ctrl-C)");
        }))
    });
    Ok(done.await?.map_or(Exit::Interrupted, |()| Exit::Done))
}

/// The links of a file, as the arguments have it.
fn list((crawl, path): (&Crawl, &Path), config: &Config, json: bool) -> Result<Links> {
    let author = crawl.author()?;
    let mut list = Links::read(path, author.as_deref(), crawl.kind().as_ref())?;
    list.at_once = config.crawl.links_at_once;
    list.json = json;
    list.anew = crawl.anew;
    list.wait = crawl.waits();
    Ok(list)
}

/// Crawls a list through the running process, or else in this one.
async fn listed(config: Config, list: Links) -> Result<Exit> {
    let done = shutdown::until_insisted(|shutdown| async move {
        let Some(client) = Client::find(&config.data).await? else {
            let until = shutdown::requested(shutdown);
            return Box::pin(run::session(config, list, until)).await;
        };
        tokio::select! {
            biased;
            () = shutdown::requested(shutdown) => Ok(None),
            done = list.work(&client) => done.map(Some),
        }
    });
    Ok(done.await?.flatten().unwrap_or_else(|| {
        anstream::eprintln!("the same command goes on with what is left");
        Exit::Interrupted
    }))
}

/// The answer; a status says how the services stand too, which this process asks itself, and is an
/// answer even where a service does not give one.
async fn answer(
    config: Config,
    request: Request,
    shutdown: shutdown::Shutdown,
) -> Result<Option<Response>> {
    let asked = match request {
        Request::Status {} => tokio::select! {
            biased;
            () = shutdown::requested(shutdown.clone()) => return Ok(None),
            asked = run::standing(&config) => asked?,
        },
        _ => None,
    };
    let Some(mut services) = asked else {
        return ask_once(config, request, shutdown).await;
    };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let data = config.data.display().to_string();
    // Without a running process ours would wait for the service that has just not answered.
    let is_in_vain = !services.faults.is_empty() && Client::find(&config.data).await?.is_none();
    if !is_in_vain {
        match ask_once(config, request, shutdown).await {
            Ok(Some(Response::Status(mut status))) => {
                status.services = Some(services);
                return Ok(Some(Response::Status(status)));
            }
            Err(error) => services.faults.push(error.chain()),
            other => return other,
        }
    }
    Ok(Some(Response::Status(Box::new(Status {
        version,
        data,
        services: Some(services),
        ..Status::default()
    }))))
}

/// The answer of the running process, or else of this one. None when it was interrupted.
async fn ask_once(
    config: Config,
    request: Request,
    shutdown: shutdown::Shutdown,
) -> Result<Option<Response>> {
    let (report, progress) = Reporter::new();
    let answer = async {
        if let Some(client) = Client::find(&config.data).await? {
            return tokio::select! {
                biased;
                () = shutdown::requested(shutdown) => Ok(None),
                response = client.handle(request, report) => response.map(Some),
            };
        }
        let until = shutdown::requested(shutdown);
        Box::pin(run::once(config, request, report, until)).await
    };
    progress::shown_while(progress, Box::pin(answer)).await
}

/// Says what a simulation found; a broken promise is a failure.
fn simulated(outcome: &simulate::Outcome, json: bool) -> Result<Exit> {
    let text = if json {
        render::pretty(outcome)?
    } else {
        render::outcome(outcome)
    };
    print(&text)?;
    Ok(if outcome.broken.is_none() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Prints the answer, and judges whether it is what was hoped for.
fn show(response: &Response, json: bool) -> Result<Exit> {
    let text = if json {
        render::json(response)?
    } else {
        render::text(response)
    };
    print(&text)?;
    Ok(exit::of(response))
}

/// Prints to standard output. Whoever reads it may stop reading: that is no failure.
fn print(text: &str) -> Result<Exit> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::unavailable(
            "standard output",
            "take the answer",
        )(error)),
        _ => Ok(Exit::Done),
    }
}
