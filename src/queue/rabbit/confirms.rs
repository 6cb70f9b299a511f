//! All that a channel has not been told of yet, in one set.
//!
//! ```text
//! add ──> polled at once ──> wakes ──> taken in by whoever looks first ──> the others are told
//! ```
//!
//! What completes wakes its place in the set, in the order in which it completes, and that order is the one in which
//! it is taken in. So whoever sees one as done has taken in all that were done before it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

/// Confirms that are awaited, each by whoever wants to know and by the set besides.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    state: Mutex<State>,
    bell: Arc<Bell>,
}

#[derive(Debug, Default)]
struct State {
    /// Each ends with whether it came with something that was returned.
    awaited: FuturesUnordered<BoxFuture<'static, bool>>,
    is_spoiled: bool,
}

/// Rung by whatever happens in the set; wakes all who wait.
#[derive(Debug, Default)]
struct Bell {
    has_rung: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Confirms {
    /// Adds one and begins it: those added before it have begun before it. It says whether something was returned
    /// with it.
    pub(super) fn add(&self, confirm: BoxFuture<'static, bool>) {
        let mut state = self.state();
        state.awaited.push(confirm);
        state.take_in(&self.bell);
    }

    /// Whether anything was returned so far.
    pub(super) fn is_spoiled(&self) -> bool {
        let mut state = self.state();
        state.take_in(&self.bell);
        state.is_spoiled
    }

    /// Waits until `look` finds something that one of them has left. Cancel safe.
    pub(super) async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        poll_fn(|context| {
            let mut state = self.state();
            loop {
                state.take_in(&self.bell);
                if let Some(found) = look() {
                    return Poll::Ready(found);
                }
                if self.bell.will_wake(context.waker()) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in everything that there is by now.
    fn take_in(&mut self, bell: &Arc<Bell>) {
        let waker = Waker::from(Arc::clone(bell));
        let mut context = Context::from_waker(&waker);
        loop {
            bell.has_rung.store(false, Ordering::SeqCst);
            while let Poll::Ready(Some(is_returned)) = self.awaited.poll_next_unpin(&mut context) {
                self.is_spoiled |= is_returned;
            }
            // The set may stop before it has looked at everything, and rings then.
            if !bell.has_rung.load(Ordering::SeqCst) {
                return;
            }
        }
    }
}

impl Bell {
    /// Whether the next ring will wake this one; false where it has rung already.
    fn will_wake(&self, waker: &Waker) -> bool {
        let mut waiting = self.waiting();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        drop(waiting);
        !self.has_rung.load(Ordering::SeqCst)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First, so that who is too late to be woken sees it.
        self.has_rung.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    use super::*;

    /// A confirm that completes by hand.
    fn confirm(is_returned: bool) -> (oneshot::Sender<()>, BoxFuture<'static, bool>) {
        let (complete, completed) = oneshot::channel();
        let confirm = async move {
            completed.await.unwrap();
            is_returned
        };
        (complete, confirm.boxed())
    }

    /// One that gives way once before it completes.
    fn hesitant() -> (oneshot::Sender<()>, BoxFuture<'static, bool>) {
        let (complete, confirm) = confirm(false);
        let mut gives_way = true;
        let hesitant = async move {
            let is_returned = confirm.await;
            poll_fn(|context| {
                if std::mem::take(&mut gives_way) {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(())
            })
            .await;
            is_returned
        };
        (complete, hesitant.boxed())
    }

    #[test]
    fn a_return_that_came_before_the_question_is_in_the_answer() {
        let confirms = Confirms::default();
        let (complete, awaited) = confirm(true);
        // The set gives way after two that do.
        let before = [hesitant(), hesitant()].map(|(complete, hesitant)| {
            confirms.add(hesitant);
            complete
        });
        confirms.add(awaited);
        assert!(!confirms.is_spoiled());
        for complete in before.into_iter().chain([complete]) {
            complete.send(()).unwrap();
        }
        assert!(confirms.is_spoiled());
    }

    #[test]
    fn a_return_that_somebody_else_is_looking_at_is_waited_for() {
        let confirms = Confirms::default();
        let (complete, completed) = oneshot::channel::<()>();
        let (look, is_looked_at) = mpsc::channel();
        let (ask, is_asked) = mpsc::channel();
        let confirm = async move {
            completed.await.unwrap();
            look.send(()).unwrap();
            // In the middle of it another thread asks.
            is_asked.recv().unwrap();
            true
        };
        confirms.add(confirm.boxed());
        complete.send(()).unwrap();
        std::thread::scope(|threads| {
            threads.spawn(|| assert!(confirms.is_spoiled()));
            is_looked_at.recv().unwrap();
            ask.send(()).unwrap();
            assert!(confirms.is_spoiled());
        });
    }

    #[tokio::test]
    async fn whoever_waits_is_told_though_another_one_took_it_in() {
        let confirms = Arc::new(Confirms::default());
        let done = Arc::new(AtomicBool::new(false));
        let (complete, completed) = oneshot::channel::<()>();
        let told = Arc::clone(&done);
        let confirm = async move {
            completed.await.unwrap();
            told.store(true, Ordering::Release);
            false
        };
        confirms.add(confirm.boxed());
        let mut waiting = JoinSet::new();
        for _ in 0..3 {
            let (confirms, done) = (Arc::clone(&confirms), Arc::clone(&done));
            waiting.spawn(async move {
                let is_done = || done.load(Ordering::Acquire).then_some(());
                confirms.until(is_done).await;
            });
        }
        // They all wait by then.
        tokio::task::yield_now().await;
        complete.send(()).unwrap();
        assert!(!confirms.is_spoiled());
        waiting.join_all().await;
    }
}
