//! Exports as they come over HTTP.

use url::Url;

use super::super::api::export::Last;
use super::Client;
use super::answer::Peer;
use crate::export::{Selection, Summary};
use crate::moment::rfc3339;
use crate::{Error, Result};

impl Client {
    /// Exports: hands each line on, with its end, and gives the manifest.
    ///
    /// Cancel safe: nothing is changed.
    ///
    /// # Errors
    /// What the process refuses, that it stopped before the end, or what `take` says.
    pub async fn export(
        &self,
        selection: &Selection,
        take: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
    ) -> Result<Summary> {
        let mut export = self.exporting(selection).await?;
        while let Some(lines) = export.next().await? {
            take(&lines)?;
        }
        export.summary()
    }

    /// Begins an export; dropped, it is given up.
    ///
    /// # Errors
    /// What the process refuses.
    pub async fn exporting(&self, selection: &Selection) -> Result<Exporting> {
        let request = self.http.get(self.export_link(selection)?);
        Ok(Exporting {
            answer: self.answered(request).await?,
            peer: self.peer.clone(),
            kept: Vec::new(),
            whole: 0,
        })
    }

    fn export_link(&self, selection: &Selection) -> Result<Url> {
        let mut link = self.link("/v1/export")?;
        let mut pairs = link.query_pairs_mut();
        pairs.append_pair("what", selection.what.name());
        pairs.append_pair("manifest", "true");
        for kind in &selection.types {
            pairs.append_pair("type", kind);
        }
        if let Some(author) = &selection.author {
            pairs.append_pair("author", author);
        }
        if let Some(since) = selection.since_ms {
            pairs.append_pair("since", &rfc3339(since));
        }
        drop(pairs);
        Ok(link)
    }
}

/// An export that comes from a process.
#[derive(Debug)]
pub struct Exporting {
    answer: reqwest::Response,
    peer: Peer,
    /// The last whole line, which may be the manifest, and what has come of the next.
    kept: Vec<u8>,
    /// Bytes of that line.
    whole: usize,
}

impl Exporting {
    /// The next whole lines; none at the end.
    ///
    /// # Errors
    /// That the process does not answer any more.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(chunk) =
            (self.answer.chunk().await).map_err(|error| self.peer.lost(error))?
        {
            let before = self.kept.len();
            self.kept.extend_from_slice(&chunk);
            let mut ends = (0..chunk.len()).rev().filter(|at| chunk[*at] == b'\n');
            let Some(end) = ends.next() else { continue };
            let start = ends.next().map_or(self.whole, |at| before + at + 1);
            self.whole = before + end + 1 - start;
            if start > 0 {
                let last = self.kept.split_off(start);
                return Ok(Some(std::mem::replace(&mut self.kept, last)));
            }
        }
        Ok(None)
    }

    /// The manifest, which is the last line.
    ///
    /// # Errors
    /// [`Error::Stopped`] where the export was broken off.
    pub fn summary(self) -> Result<Summary> {
        match serde_json::from_slice(&self.kept) {
            Ok(Last { manifest }) if self.whole == self.kept.len() => Ok(manifest),
            _ => Err(Error::Stopped {
                part: "the running process",
            }),
        }
    }
}
