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
    if is_other(bar, progress) {
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
    match progress.total {
        Some(total) => bar.set_length(total),
        None => bar.unset_length(),
    }
    bar.set_position(progress.done);
}

/// Whether the line has another form: the work is another one, or it is known now how much it is in all.
fn is_other(bar: &ProgressBar, progress: &Progress) -> bool {
    bar.message() != progress.stage || bar.length().is_some() != progress.total.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_otherwise_once_it_is_known_how_much_there_is() {
        let bar = ProgressBar::hidden();
        let reading = |total| Progress {
            stage: "reading".to_owned(),
            done: 0,
            total,
        };
        assert!(is_other(&bar, &reading(None)));
        draw(&bar, &reading(None));
        assert!(!is_other(&bar, &reading(None)));
        assert!(is_other(&bar, &reading(Some(5))));
        draw(&bar, &reading(Some(5)));
        assert_eq!(bar.length(), Some(5));
        assert!(!is_other(&bar, &reading(Some(6))));
        assert!(is_other(&bar, &reading(None)));
        bar.finish_and_clear();
    }
}
