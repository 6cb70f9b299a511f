//! How the process stops: a signal asks, a second one insists.
//!
//! ```text
//! first signal ──> stop intake, finish what is in hand ──┬─ within the grace period ──> done
//!                                                        └─ later, or a second signal ──> abort
//! ```

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::{Error, Result};

/// Sees when the process was asked to stop: the value becomes true, once.
pub type Shutdown = watch::Receiver<bool>;

/// Completes when the process is asked to stop; at once if that was before.
///
/// Cancel safe.
pub async fn requested(mut shutdown: Shutdown) {
    // An error means that nobody can ask any more, which is as good as having asked.
    drop(shutdown.wait_for(|asked| *asked).await);
}

/// The tasks that run until the process stops; when one fails, all stop, with its reason.
#[derive(Debug)]
pub struct Roles {
    tasks: JoinSet<Result<()>>,
    /// Those that have not ended.
    names: HashMap<Id, &'static str>,
    kept: Vec<Box<dyn Any + Send>>,
    asked: watch::Sender<bool>,
}

impl Roles {
    /// No tasks yet.
    pub fn new() -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            kept: Vec::new(),
            asked: watch::Sender::new(false),
        }
    }

    /// What a role watches to know when to stop.
    pub fn shutdown(&self) -> Shutdown {
        self.asked.subscribe()
    }

    /// Starts a role.
    pub fn start(
        &mut self,
        name: &'static str,
        role: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(role);
        self.names.insert(task.id(), name);
    }

    /// Keeps what the roles need, such as a folder, and drops it when all have ended.
    pub fn keep(&mut self, needed: impl Any + Send) {
        self.kept.push(Box::new(needed));
    }

    /// Waits until a role ends although nobody asked it to, and says why. Pends without roles.
    ///
    /// Cancel safe.
    pub async fn failure(&mut self) -> Error {
        match self.tasks.join_next_with_id().await {
            Some(ended) => self
                .judge(ended)
                .err()
                .unwrap_or(Error::Stopped { part: "a role" }),
            None => std::future::pending().await,
        }
    }

    /// Asks every role to stop and waits, at most for `grace`; then aborts those that are left.
    ///
    /// # Errors
    /// The first failure among them, [`Error::Stopped`] for roles that had to be aborted.
    pub async fn stop(mut self, grace: Duration) -> Result<()> {
        self.asked.send_replace(true);
        let mut outcome = Ok(());
        let drained = tokio::time::timeout(grace, async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                let judged = self.judge(ended);
                if outcome.is_ok() {
                    outcome = judged;
                }
            }
        });
        if drained.await.is_err() {
            let roles: Vec<_> = self.names.values().collect();
            tracing::error!(?roles, "grace period is over, roles are aborted");
            self.tasks.shutdown().await;
            // What failed before may be why they did not end.
            return outcome.and(Err(Error::Stopped {
                part: "a role that did not end within the grace period",
            }));
        }
        outcome
    }

    /// A role that ended: fine only after it was asked to.
    fn judge(&mut self, ended: Result<(Id, Result<()>), JoinError>) -> Result<()> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panic) => panic.id(),
        };
        let name = self.names.remove(&id).unwrap_or("a role");
        match ended {
            Ok((_, Ok(()))) if *self.asked.borrow() => Ok(()),
            Ok((_, Ok(()))) => Err(Error::Stopped { part: name }),
            Ok((_, Err(error))) => {
                tracing::error!(role = name, error = %error.chain(), "role failed");
                Err(error)
            }
            Err(panic) => {
                tracing::error!(role = name, error = %panic, "role panicked");
                Err(Error::Stopped {
                    part: "a role that panicked",
                })
            }
        }
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs until done. The first interrupt or terminate signal asks `run` to stop, a second one drops
/// it where it stands; then the answer is none.
///
/// # Errors
/// What `run` says, or that signals cannot be listened to.
pub async fn until_insisted<T, F>(run: impl FnOnce(Shutdown) -> F) -> Result<Option<T>>
where
    F: Future<Output = Result<T>>,
{
    let mut signals = Signals::listen()?;
    let asked = watch::Sender::new(false);
    let run = run(asked.subscribe());
    let insisted = async {
        signals.next().await;
        asked.send_replace(true);
        signals.next().await;
    };
    tokio::select! {
        biased;
        done = run => done.map(Some),
        () = insisted => Ok(None),
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen =
            |kind| signal(kind).map_err(Error::unavailable("the system", "hand on signals"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_what_is_in_hand() {
        let mut roles = Roles::new();
        let shutdown = roles.shutdown();
        let (done, was_done) = tokio::sync::oneshot::channel();
        roles.start("worker", async move {
            requested(shutdown).await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            done.send(()).map_err(|()| Error::Stopped { part: "test" })
        });
        roles.stop(Duration::from_secs(5)).await.unwrap();
        was_done.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_does_not_stop_is_aborted_after_the_grace_period() {
        let mut roles = Roles::new();
        roles.start("worker", std::future::pending());
        let started = tokio::time::Instant::now();
        let stopped = roles.stop(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        let told = stopped.to_string();
        assert!(told.contains("within the grace period"), "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_rather_than_what_did_not_end_for_it() {
        let mut roles = Roles::new();
        let shutdown = roles.shutdown();
        roles.start("worker", std::future::pending());
        roles.start("capture", async move {
            requested(shutdown).await;
            Err(Error::malformed("the answer", "planted"))
        });
        let stopped = roles.stop(Duration::from_secs(5)).await.unwrap_err();
        assert!(matches!(stopped, Error::Malformed { .. }), "{stopped}");
    }

    #[tokio::test]
    async fn a_role_that_ends_by_itself_is_a_failure() {
        let mut roles = Roles::new();
        roles.start("capture", async { Ok(()) });
        let failure = roles.failure().await;
        assert!(matches!(failure, Error::Stopped { part: "capture" }));
    }

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let mut roles = Roles::new();
        roles.start("capture", async { panic!("planted") });
        assert!(matches!(roles.failure().await, Error::Stopped { .. }));
    }
}
