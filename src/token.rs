//! Who may ask over HTTP: bearer tokens, each made once, shown once, and kept as its digest.
//!
//! ```text
//! create ──> 256 random bits, shown ──SHA-256──> tokens.json        request ──SHA-256──> compared with each
//! ```
//!
//! A slow hash would gain nothing: it makes guessing a password dear, and nobody guesses 256 random bits.
//! Digests are compared in constant time. The file is read again when it has changed, so that a token that
//! is revoked lets nobody in from then on, without any process being told.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::Secret;
use crate::{Error, Result, folder};

/// What every token begins with, so that scanners for secrets know one.
const PREFIX: &str = "lockstep_";
/// Hexadecimal digits of an id.
const ID_LENGTH: usize = 8;
/// Tokens that are kept at most: each is compared at every request.
const TOKENS_MAX: usize = 1_000;

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is named by; no secret.
    pub id: String,
    /// What it is for, as its maker said.
    pub name: String,
    /// When it was made: milliseconds since 1970, UTC.
    pub created_ms: u64,
}

/// A token as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    token: Token,
    /// SHA-256 of the whole token, in hexadecimal digits.
    sha256: String,
}

/// A token that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Created {
    /// What it is named by.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The token itself; it cannot be shown again.
    pub token: Secret,
}

/// The tokens of a file.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    /// What the file held, and which file that was.
    known: Mutex<Known>,
}

/// The state that was read, and the digests in it.
type Known = (Option<State>, Arc<[[u8; 32]]>);

/// Tells one state of a file from the next: each is a file of its own.
type State = (u64, u64, i64, i64);

/// The digest of a token.
pub fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Tokens {
    /// Those of this file, which need not be there.
    pub fn of(path: PathBuf) -> Self {
        Self {
            path,
            known: Mutex::new((None, Arc::new([]))),
        }
    }

    /// Whether a token of this digest is there now.
    ///
    /// # Errors
    /// [`Error::Data`] where the file cannot be read: then nobody is let in by it.
    pub fn admit(&self, asked: &[u8; 32]) -> Result<bool> {
        let mut found = subtle::Choice::from(0);
        for known in self.digests()?.iter() {
            found |= known.ct_eq(asked);
        }
        Ok(found.into())
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.digests()?.is_empty())
    }

    /// Every token, in the order of their making.
    pub fn list(&self) -> Result<Vec<Token>> {
        let kept = read(&self.path)?;
        Ok(kept.into_iter().map(|kept| kept.token).collect())
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`Error::Data`] where the file cannot be written, [`Error::Config`] for one too many.
    pub fn create(&self, name: &str, now_ms: u64) -> Result<Created> {
        let token = random()?;
        let digest = hex(&digest(token.as_bytes()));
        let created = Created {
            id: digest.chars().take(ID_LENGTH).collect(),
            name: name.to_owned(),
            token: token.into(),
        };
        self.change(|tokens| {
            if tokens.len() >= TOKENS_MAX {
                return Err(Error::Config {
                    setting: "token".into(),
                    why: format!("there are {TOKENS_MAX} already; revoke those that nobody uses"),
                });
            }
            tokens.push(Kept {
                token: Token {
                    id: created.id.clone(),
                    name: created.name.clone(),
                    created_ms: now_ms,
                },
                sha256: digest,
            });
            Ok(())
        })?;
        Ok(created)
    }

    /// Takes one away: from now on it lets nobody in.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an id that none has.
    pub fn revoke(&self, id: &str) -> Result<Token> {
        let mut revoked = None;
        self.change(|tokens| {
            let at = tokens.iter().position(|kept| kept.token.id == id);
            let at = at.ok_or_else(|| Error::NotFound {
                what: format!("token {id}"),
            })?;
            revoked = Some(tokens.remove(at).token);
            Ok(())
        })?;
        revoked.ok_or_else(|| Error::NotFound {
            what: format!("token {id}"),
        })
    }

    fn digests(&self) -> Result<Arc<[[u8; 32]]>> {
        let now = match fs::metadata(&self.path) {
            Ok(found) => Some(state(&found)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(unusable(&self.path, &error)),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != now {
            let digests = read(&self.path)?;
            let digests = digests.iter().map(|kept| unhex(&kept.sha256));
            let digests: Option<Vec<_>> = digests.collect();
            let digests = digests.ok_or_else(|| malformed(&self.path, "a digest is none"))?;
            *known = (now, digests.into());
        }
        Ok(Arc::clone(&known.1))
    }

    /// Changes the file as one step; two who do so at once go one after the other.
    fn change(&self, change: impl FnOnce(&mut Vec<Kept>) -> Result<()>) -> Result<()> {
        let fail = |error: io::Error| unusable(&self.path, &error);
        if let Some(folder) = self.path.parent() {
            folder::make_private(folder).map_err(fail)?;
        }
        let lock = private(&self.path.with_extension("lock")).map_err(fail)?;
        lock.lock().map_err(fail)?;
        let mut tokens = read(&self.path)?;
        change(&mut tokens)?;
        let text = serde_json::to_vec_pretty(&tokens)
            .map_err(|error| malformed(&self.path, &error.to_string()))?;
        let new = self.path.with_extension("new");
        let mut file = private(&new).map_err(fail)?;
        file.set_len(0).map_err(fail)?;
        file.write_all(&text).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        // Renamed when whole, so that nobody reads half of it.
        fs::rename(new, &self.path).map_err(fail)
    }
}

fn read(path: &Path) -> Result<Vec<Kept>> {
    match fs::read(path) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|error| malformed(path, &error.to_string()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// A file that its owner alone can read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn state(found: &Metadata) -> State {
    (found.ino(), found.len(), found.mtime(), found.mtime_nsec())
}

fn random() -> Result<String> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(Error::unavailable("the system", "give random numbers"))?;
    Ok(format!("{PREFIX}{}", hex(&bits)))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |at: usize| char::from(*text.as_bytes().get(at)?).to_digit(16);
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::try_from(digit(2 * at)? << 4 | digit(2 * at + 1)?).ok()?;
    }
    (text.len() == 64).then_some(bytes)
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::Data {
        path: path.to_owned(),
        why: format!("{error}: the tokens are kept there; serve.tokens names another file"),
    }
}

fn malformed(path: &Path, why: &str) -> Error {
    Error::Data {
        path: path.to_owned(),
        why: format!("it holds no tokens ({why}); remove it and make new ones"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tokens(home: &tempfile::TempDir) -> Tokens {
        Tokens::of(home.path().join("data/tokens.json"))
    }

    fn admits(tokens: &Tokens, token: &str) -> bool {
        tokens.admit(&digest(token.as_bytes())).unwrap()
    }

    #[test]
    fn a_token_lets_in_until_it_is_revoked_whoever_did_it() {
        let home = tempfile::tempdir().unwrap();
        let (asked, maker) = (tokens(&home), tokens(&home));
        assert!(asked.is_empty().unwrap());
        let (one, two) = (
            maker.create("one", 1).unwrap(),
            maker.create("two", 2).unwrap(),
        );
        assert!(admits(&asked, one.token.expose()) && admits(&asked, two.token.expose()));
        assert!(!admits(&asked, "lockstep_") && !admits(&asked, ""));
        maker.revoke(&one.id).unwrap();
        assert!(!admits(&asked, one.token.expose()) && admits(&asked, two.token.expose()));
        let left: Vec<_> = maker
            .list()
            .unwrap()
            .into_iter()
            .map(|token| token.name)
            .collect();
        assert_eq!(left, ["two"]);
        assert!(matches!(maker.revoke(&one.id), Err(Error::NotFound { .. })));
    }

    #[test]
    fn the_file_is_the_owners_alone_and_holds_no_token() {
        let home = tempfile::tempdir().unwrap();
        let created = tokens(&home).create("ci", 1).unwrap();
        let path = home.path().join("data/tokens.json");
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let secret = created.token.expose();
        assert_eq!(secret.len(), PREFIX.len() + 64);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(secret.strip_prefix(PREFIX).unwrap()));
        assert!(text.contains(&hex(&digest(secret.as_bytes()))));
        assert!(!format!("{created:?}").contains(secret));
    }

    #[test]
    fn a_file_that_cannot_be_read_lets_nobody_in() {
        let home = tempfile::tempdir().unwrap();
        let tokens = tokens(&home);
        let made = tokens.create("ci", 1).unwrap();
        fs::write(home.path().join("data/tokens.json"), "[{").unwrap();
        assert!(
            tokens
                .admit(&digest(made.token.expose().as_bytes()))
                .is_err()
        );
    }
}
