//! A line on the terminal that moves while a command is under way.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::command::Progress;

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Waits for the answer and shows how far it is; nothing where standard error is no terminal.
pub(super) async fn shown_while<T>(
    mut progress: watch::Receiver<Progress>,
    answer: impl Future<Output = T>,
) -> T {
    let bar = ProgressBar::new_spinner();
    let mut answer = std::pin::pin!(answer);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut answer => break done,
            Ok(()) = progress.changed() => draw(&bar, &progress.borrow_and_update()),
        }
    };
    bar.finish_and_clear();
    done
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    if bar.message() != progress.stage {
        let template = match progress.total {
            Some(_) => "{spinner} {msg} {wide_bar} {pos}/{len}, {eta} left",
            None => "{spinner} {msg} {pos}",
        };
        // A template that cannot be read leaves the default one, which is as good.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TURN);
        bar.set_message(progress.stage.clone());
    }
    if let Some(total) = progress.total {
        bar.set_length(total);
    }
    bar.set_position(progress.done);
}
