//! Messages that were set aside: list, show, read again, forget.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::change::{DocumentKey, Version};
use crate::queue::{Parked, Queue};
use crate::{Error, Result};

use super::answer::{ParkedList, ParkedMessage};

/// How many are read from the queue at once.
const PAGE_SIZE: usize = 256;
/// How many are listed; a longer list helps nobody.
const LIST_MAX: usize = 1_000;

impl From<Parked> for ParkedMessage {
    fn from(message: Parked) -> Self {
        let document = message.key.as_ref().map(ToString::to_string);
        Self { document, message }
    }
}

/// The first of them.
pub(super) async fn list<Q: Queue>(queue: &Q) -> Result<ParkedList> {
    let mut list = ParkedList::default();
    let mut pages = Pages { queue, after: None };
    while let Some(page) = pages.next().await? {
        for message in page {
            if list.messages.len() == LIST_MAX {
                list.more = true;
                return Ok(list);
            }
            list.messages.push(message.into());
        }
    }
    Ok(list)
}

/// Whether a change of this moment is set aside.
pub(super) async fn is_parked<Q: Queue>(queue: &Q, version: Version) -> Result<bool> {
    let moment = |version: Version| (version.epoch, version.time);
    let mut pages = Pages { queue, after: None };
    while let Some(page) = pages.next().await? {
        if page
            .iter()
            .any(|message| moment(message.version) == moment(version))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The one message whose id begins so.
pub(super) async fn find<Q: Queue>(queue: &Q, id: &str) -> Result<Parked> {
    let wanted = id.to_lowercase();
    let mut found: Option<Parked> = None;
    let mut pages = Pages { queue, after: None };
    while let Some(page) = pages.next().await? {
        for message in page {
            if !message.id.to_string().starts_with(&wanted) {
                continue;
            }
            if found.is_some() {
                return Err(Error::Config {
                    setting: format!("parked message {id}"),
                    why: "more than one id begins so, give more of it".into(),
                });
            }
            found = Some(message);
        }
    }
    found.ok_or_else(|| Error::NotFound {
        what: format!("parked message {id}"),
    })
}

/// The documents of one message, or of all that can be read again, and how many messages cannot.
///
/// What carries no version came from another producer and may have no document in the source: read
/// again there, it would be taken for deleted.
pub(super) async fn documents<Q: Queue>(
    queue: &Q,
    id: Option<&str>,
) -> Result<(Vec<DocumentKey>, u64)> {
    if let Some(id) = id {
        let message = find(queue, id).await?;
        let refused = |why: &str| Error::Config {
            setting: format!("parked message {id}"),
            why: format!("{why}: send it anew from where it came, then drop this one"),
        };
        if !message.version.is_some() {
            return Err(refused(
                "it has no version, so it cannot be read again from the source",
            ));
        }
        let nothing = || refused("it names no document, so there is nothing to read again");
        return Ok((vec![message.key.ok_or_else(nothing)?], 0));
    }
    let (mut keys, mut unreadable) = (BTreeSet::new(), 0);
    let mut pages = Pages { queue, after: None };
    while let Some(page) = pages.next().await? {
        for message in page {
            match message.key {
                Some(key) if message.version.is_some() => drop(keys.insert(key)),
                _ => unreadable += 1,
            }
        }
    }
    Ok((keys.into_iter().collect(), unreadable))
}

/// Forgets one message, or all that are there at the time of the call.
pub(super) async fn forget<Q: Queue>(queue: &Q, id: Option<&str>) -> Result<u64> {
    if let Some(id) = id {
        let message = find(queue, id).await?;
        queue.forget(vec![message.id]).await?;
        return Ok(1);
    }
    let mut count = 0;
    let mut pages = Pages { queue, after: None };
    while let Some(page) = pages.next().await? {
        count += page.len() as u64;
        queue
            .forget(page.into_iter().map(|message| message.id).collect())
            .await?;
    }
    Ok(count)
}

/// Walks through everything that is parked.
struct Pages<'a, Q> {
    queue: &'a Q,
    after: Option<Uuid>,
}

impl<Q: Queue> Pages<'_, Q> {
    async fn next(&mut self) -> Result<Option<Vec<Parked>>> {
        let page = self.queue.parked(self.after, PAGE_SIZE).await?;
        self.after = page.last().map(|message| message.id).or(self.after);
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}
