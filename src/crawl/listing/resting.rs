//! Hosts of a listing that want a pause, and what is left out for it. Pure.

use std::collections::HashMap;

use url::{Origin, Url};

use crate::crawl::Skipped;
use crate::{Error, Result};

/// Whose links are left out.
pub(super) struct Resting {
    home: String,
    left: HashMap<Origin, Skipped>,
    /// The longest pause: for which link, and until when.
    longest: Option<(String, u64)>,
}

impl Resting {
    pub(super) fn new(home: &Url) -> Self {
        Self {
            home: home.to_string(),
            left: HashMap::new(),
            longest: None,
        }
    }

    /// Whether a link's host rests. The link counts as left out then.
    pub(super) fn leaves_out(&mut self, link: &Url) -> bool {
        let Some(left) = self.left.get_mut(&link.origin()) else {
            return false;
        };
        left.count += 1;
        true
    }

    /// Leaves out what could not be read since a host wants a pause: that host rests, which need not be the one that
    /// was asked first. Any other error is given back.
    ///
    /// # Errors
    /// All but [`Error::Later`].
    pub(super) fn take(&mut self, error: Error) -> Result<()> {
        let Error::Later { link, until_ms } = &error else {
            return Err(error);
        };
        let Ok(asked) = Url::parse(link) else {
            return Err(error);
        };
        if self.until_ms().is_none_or(|known| known < *until_ms) {
            self.longest = Some((link.clone(), *until_ms));
        }
        let left = self.left.entry(asked.origin());
        left.and_modify(|left| left.count += 1)
            .or_insert_with(|| Skipped::one(&self.home, error.to_string()));
        Ok(())
    }

    /// When the last of them may be asked again, if any rests.
    pub(super) fn until_ms(&self) -> Option<u64> {
        self.longest.as_ref().map(|(_, until_ms)| *until_ms)
    }

    /// That a host rests, for where it leaves nothing to do.
    pub(super) fn error(&self) -> Option<Error> {
        let (link, until_ms) = self.longest.clone()?;
        Some(Error::Later { link, until_ms })
    }

    /// What was left out, by host.
    pub(super) fn left(self) -> impl Iterator<Item = Skipped> {
        self.left.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn later(link: &str, until_ms: u64) -> Error {
        Error::Later {
            link: link.to_owned(),
            until_ms,
        }
    }

    #[test]
    fn the_host_that_wants_a_pause_rests_and_no_other() {
        let mut resting = Resting::new(&url("https://a.example/"));
        assert!(!resting.leaves_out(&url("https://a.example/1")));
        resting.take(later("https://b.example/1", 9)).unwrap();
        resting.take(later("https://b.example/2", 7)).unwrap();
        assert!(!resting.leaves_out(&url("https://a.example/2")));
        assert!(resting.leaves_out(&url("https://b.example/3")));
        assert_eq!(resting.until_ms(), Some(9));
        let left: Vec<_> = resting.left().collect();
        assert_eq!((left.len(), left[0].count), (1, 3));
        assert!(left[0].why.starts_with("https://b.example/1: "));
    }

    #[test]
    fn other_errors_are_given_back() {
        let mut resting = Resting::new(&url("https://a.example/"));
        let stopped = Error::Stopped { part: "the source" };
        assert!(resting.take(stopped).is_err());
        assert!(resting.until_ms().is_none() && resting.error().is_none());
    }
}
