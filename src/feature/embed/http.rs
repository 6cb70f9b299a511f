//! A model behind a service: text to vectors over HTTP.
//!
//! ```text
//! texts ──counted──> batches ──slots──> requests ──gate──> answers ──checked──> unit vectors
//!                                          ▲  busy: all wait │
//!                                          └── passing ──────┤
//!            halves <── the texts, if the service is well ───┘
//! ```
//!
//! - At opening the service says what it is, and embeds one text: the number of its values is the
//!   model's dimension, and what the settings say of it must agree.
//! - A request is bounded in texts, tokens and bytes; so many are on their way at once, whoever asks.
//! - What a batch is refused for is looked for: where the service embeds a plain text meanwhile, the
//!   batch is halved, until the one text that it does not take is found. That text alone is at fault; the
//!   others are embedded, and their vectors are there when they are asked for again. After four such texts the
//!   rest of the request is left.
//! - A service that answers with vectors of another dimension has another model now: stop.

mod batch;
mod fault;
mod gate;
mod protocol;
mod service;
mod spared;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sha2::{Digest, Sha256};
use url::Url;

use super::tokens::Tokens;
use super::{Embedder, Model, Usage, over_limit};
use crate::clock::Clock;
use crate::config::Secret;
use crate::{Error, Recovery, Result};

use batch::{Size, batches};
use fault::Fault;
use protocol::About;
use service::Service;
use spared::Spared;

pub use batch::BatchLimits;
pub use protocol::Protocol;

/// A text that every service takes.
const PLAIN: &str = "lockstep";

/// Texts of one request that are found not to be taken before its rest is left: more are no exception, and
/// finding each costs several requests.
const UNTAKEABLE_MAX: usize = 4;

/// Where a service is and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpOptions {
    /// What it speaks.
    pub protocol: Protocol,
    /// Its address, without a user or a password.
    pub url: Url,
    /// The model's name there; text-embeddings-inference has one model and needs none.
    pub name: Option<String>,
    /// What lets us in; not set for none.
    pub key: Secret,
    /// Values a vector, where that is known; another number is refused.
    pub dimension: Option<usize>,
    /// Tokens of a text at most; less where the service says so.
    pub token_limit: usize,
    /// The model's `tokenizer.json`; without it tokens are estimated.
    pub tokenizer: Option<PathBuf>,
    /// Texts a request; by default the service's or the protocol's.
    pub texts_max: Option<usize>,
    /// Tokens a request; by default the service's or the protocol's.
    pub tokens_max: Option<usize>,
    /// Bytes of text a request.
    pub bytes_max: usize,
    /// Requests on their way at once.
    pub requests_max: usize,
    /// A request with its answer at most; none for no limit.
    pub timeout: Option<Duration>,
    /// Attempts without a usable answer.
    pub attempts_max: u32,
    /// All waiting of one request for a busy service.
    pub wait_max: Duration,
    /// Seeds the length of pauses; none for pauses that are always the same.
    pub jitter: Option<u64>,
}

/// Embeds with a service.
#[derive(Debug)]
pub struct HttpEmbedder {
    model: Model,
    tokens: Arc<Tokens>,
    limits: BatchLimits,
    service: Service,
    spared: Spared,
}

/// What requests have brought, of which one may have failed.
#[derive(Debug, Default)]
struct Brought {
    /// The vector of each text, in their order; none where it was not made.
    vectors: Vec<Option<Vec<f32>>>,
    /// Why one was not.
    fault: Option<Error>,
}

impl HttpEmbedder {
    /// Asks the service what it is and has it embed a text.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where it does not answer, [`Error::Refused`] with what to do where it
    /// does not serve us, [`Error::Config`] where the settings do not agree with it.
    pub async fn open(options: HttpOptions, clock: Clock) -> Result<Self> {
        let tokens = Tokens::open(options.tokenizer.as_deref())?;
        let service = Service::new(&options, clock)?;
        let failed = |fault: Fault| fault.into_error(service.place());
        let about = service.about().await.map_err(failed)?;
        let name = name(&options, &about, service.place())?;
        let probed = service.vectors(&[PLAIN.to_owned()]).await.map_err(failed)?;
        let dimension = probed.first().map_or(0, Vec::len);
        check_dimension(options.dimension, dimension, service.place())?;
        let usual = options.protocol.batch_limits(options.bytes_max);
        let limits = BatchLimits {
            texts_max: limit(options.texts_max, about.texts_max, usual.texts_max),
            tokens_max: limit(options.tokens_max, about.tokens_max, usual.tokens_max),
            ..usual
        };
        let token_limit = options
            .token_limit
            .min(about.token_limit.unwrap_or(usize::MAX));
        // The limit and the way of counting decide how texts are cut, and so what is embedded.
        let identity = format!(
            "{:?}\nname {name}\nrevision {:?}\ndimension {dimension}\ntokens {token_limit} {}\n",
            options.protocol,
            about.revision,
            tokens.identity(),
        );
        Ok(Self {
            model: Model {
                digest: format!("{:x}", Sha256::digest(identity)),
                name,
                dimension,
                token_limit,
            },
            tokens: Arc::new(tokens),
            limits,
            service,
            spared: Spared::default(),
        })
    }

    /// The texts with their sizes.
    async fn measured(&self, texts: Vec<String>) -> Result<(Vec<String>, Vec<Size>)> {
        let tokens = Arc::clone(&self.tokens);
        let measure = move || {
            let size = |text: &String| Size {
                tokens: tokens.count(text),
                bytes: text.len(),
            };
            let sizes = texts.iter().map(size).collect();
            (texts, sizes)
        };
        match *self.tokens {
            Tokens::Estimated => Ok(measure()),
            Tokens::Counted(..) => tokio::task::spawn_blocking(measure)
                .await
                .map_err(|_| Error::malformed("the texts to embed", "counting tokens panicked")),
        }
    }

    /// Embeds the texts of one request; halves of it where one is at fault, so that the others come whole.
    async fn batch(&self, texts: &[String]) -> Brought {
        let mut brought = Brought::default();
        if let Err(error) = self.halved(texts, &mut brought).await {
            brought.fault = Some(error);
        }
        // What was not asked for any more has no vectors.
        brought.vectors.resize(texts.len(), None);
        brought
    }

    /// The vectors of texts in their order, until all or too many have failed.
    ///
    /// # Errors
    /// What is no fault of a text.
    async fn halved(&self, texts: &[String], brought: &mut Brought) -> Result<()> {
        let (mut rest, mut untakeable) = (vec![texts], 0);
        let mut is_well = false;
        while let Some(texts) = rest.pop() {
            let fault = match self.vectors(texts).await {
                Ok(found) => {
                    brought.vectors.extend(found.into_iter().map(Some));
                    continue;
                }
                Err(fault) => fault,
            };
            if !fault.may_be_input() {
                return Err(fault.into_error(self.service.place()));
            }
            if !is_well {
                let plain = [PLAIN.to_owned()];
                let probed = self.vectors(&plain).await;
                probed.map_err(|fault| fault.into_error(self.service.place()))?;
                is_well = true;
            }
            if let [text] = texts {
                brought.vectors.push(None);
                brought.fault = Some(self.untakeable(text, &fault));
                untakeable += 1;
                if untakeable == UNTAKEABLE_MAX {
                    break;
                }
            } else {
                tracing::debug!(?fault, texts = texts.len(), "a batch is halved");
                let (front, back) = texts.split_at(texts.len() / 2);
                rest.extend([back, front]);
            }
        }
        Ok(())
    }

    /// Asks for all of these, in as many requests as they need; until one fails for no fault of a text.
    async fn brought(&self, texts: Vec<String>, sizes: Vec<Size>) -> Brought {
        let batches = batches(&sizes, self.limits).into_iter();
        let mut requests: FuturesUnordered<_> =
            batches.map(|range| self.placed(&texts, range)).collect();
        let mut all = Brought::default();
        all.vectors.resize(texts.len(), None);
        while let Some((range, part)) = requests.next().await {
            for (slot, vector) in all.vectors.iter_mut().skip(range.start).zip(part.vectors) {
                *slot = vector;
            }
            if let Some(fault) = part.fault {
                let is_of_a_text = fault.recovery() == Recovery::Park;
                all.fault = Some(fault);
                if !is_of_a_text {
                    break;
                }
            }
        }
        all
    }

    /// The texts of one request, and where they stand among all.
    async fn placed(&self, texts: &[String], range: Range<usize>) -> (Range<usize>, Brought) {
        let brought = self
            .batch(texts.get(range.clone()).unwrap_or_default())
            .await;
        (range, brought)
    }

    async fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Fault> {
        let vectors = self.service.vectors(texts).await?;
        let dimension = self.model.dimension;
        match vectors.iter().find(|vector| vector.len() != dimension) {
            None => Ok(vectors),
            Some(other) => Err(Fault::Refused {
                why: format!(
                    "its vectors have {} values now and had {dimension}: another model answers",
                    other.len()
                ),
                fix: "give the former model again, or restart, and make the index anew with \
                      `lockstep reindex`"
                    .into(),
            }),
        }
    }

    /// The error of one text, which is named by its size: it is nobody else's to read.
    fn untakeable(&self, text: &str, fault: &Fault) -> Error {
        let why = match fault {
            Fault::Input { why } | Fault::Passing { why, .. } => why.as_str(),
            Fault::Busy { .. } | Fault::Refused { .. } => "it is refused",
        };
        let thing = format!("a text of {} bytes to embed", text.len());
        let place = self.service.place();
        Error::malformed(thing, format!("{place} does not take it: {why}"))
    }
}

impl Embedder for HttpEmbedder {
    fn model(&self) -> &Model {
        &self.model
    }

    fn token_count(&self, text: &str) -> usize {
        self.tokens.count(text)
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let (texts, sizes) = self.measured(texts).await?;
        let limit = self.model.token_limit;
        if let Some(over) = sizes.iter().find(|size| size.tokens > limit) {
            return Err(over_limit(over.tokens, limit));
        }
        let mut vectors = self.spared.take(&texts);
        let missing = texts.iter().zip(sizes).zip(&vectors);
        let missing = missing.filter(|(_, vector)| vector.is_none());
        let (asked, sizes) = missing
            .map(|((text, size), _)| (text.clone(), size))
            .unzip();
        let brought = self.brought(asked, sizes).await;
        let slots = vectors.iter_mut().filter(|vector| vector.is_none());
        for (slot, vector) in slots.zip(brought.vectors) {
            *slot = vector;
        }
        match brought.fault {
            None => Ok(vectors.into_iter().flatten().collect()),
            Some(fault) => {
                self.spared.keep(&texts, vectors);
                Err(fault)
            }
        }
    }

    fn usage(&self) -> Usage {
        self.service.usage()
    }
}

/// The model's name; one that the settings name must be the one that is there.
fn name(options: &HttpOptions, about: &About, place: &str) -> Result<String> {
    match (&options.name, &about.name) {
        (Some(wanted), Some(found)) if wanted != found => Err(Error::Config {
            setting: "model.name".into(),
            why: format!("it is {wanted:?}, and {place} has {found:?}"),
        }),
        (Some(name), _) | (None, Some(name)) => Ok(name.clone()),
        (None, None) => Err(Error::Config {
            setting: "model.name".into(),
            why: format!("{place} has many models: name one"),
        }),
    }
}

fn check_dimension(wanted: Option<usize>, found: usize, place: &str) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != found => Err(Error::Config {
            setting: "model.dimension".into(),
            why: format!(
                "it is {wanted}, and the model at {place} gives {found} values: name the right \
                 model, or change the setting and make the index anew with `lockstep reindex`"
            ),
        }),
        _ => Ok(()),
    }
}

/// What the settings say, otherwise the service, otherwise the protocol; never more than the service
/// takes.
fn limit(setting: Option<usize>, service: Option<usize>, usual: usize) -> usize {
    let limit = setting.or(service).unwrap_or(usual);
    limit.min(service.unwrap_or(usize::MAX)).max(1)
}
