//! The settings of what embeds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::Secret;
use crate::feature::embed::Precision;
use crate::feature::embed::http::{HttpOptions, Protocol};

/// Text to vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// What embeds.
    pub backend: Backend,
    /// The folder of the model's files; a relative one lies in the data folder.
    pub folder: PathBuf,
    /// Threads that embed; 0 for one a core.
    pub threads: usize,
    /// How exactly a local model computes; another precision is another model.
    pub precision: Precision,
    /// Where the service is; empty for its usual place.
    pub url: String,
    /// The model's name at the service.
    pub name: String,
    /// What lets us in at the service.
    pub api_key: Secret,
    /// Values a vector; 0 for as many as the service gives, and 384 of the hash embedder.
    pub dimension: usize,
    /// Tokens of a text at most, for a service.
    pub token_limit: usize,
    /// The model's `tokenizer.json`, for a service; empty to estimate.
    pub tokenizer: PathBuf,
    /// Texts a request; 0 for the service's own limit.
    pub batch_texts_max: usize,
    /// Tokens a request; 0 for the service's own limit.
    pub batch_tokens_max: usize,
    /// Bytes of text a request.
    pub batch_bytes_max: usize,
    /// Requests to the service on their way at once.
    pub requests_max: usize,
    /// Longest wait for one answer of the service, in seconds.
    pub timeout_seconds: u64,
    /// How often a request is sent that brings no usable answer.
    pub attempts_max: u32,
    /// How long a request waits for a busy service before the work is given back, in seconds.
    pub wait_seconds_max: u64,
    /// Bytes of vectors that are kept for texts that come again; 0 for none.
    pub cache_bytes_max: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            // The hash embedder finds nothing by meaning, so it is never chosen by itself.
            backend: Backend::Local,
            // Beside the data: one folder to move, back up or remove.
            folder: PathBuf::from("model"),
            // Embedding is nearly all of the work, so it may use the whole machine.
            threads: 0,
            // Exact: what 8 bits do to a search is not measured well enough to choose them unasked.
            precision: Precision::Fp32,
            url: String::new(),
            name: String::new(),
            api_key: Secret::default(),
            dimension: 0,
            // That of the local model: a passage is as long as an answer, whatever a model can read.
            token_limit: 256,
            tokenizer: PathBuf::new(),
            batch_texts_max: 0,
            batch_tokens_max: 0,
            // Half of the 2 MB that text-embeddings-inference takes by default; JSON escapes.
            batch_bytes_max: 1 << 20,
            // Hides the way to the service; a free account is not blocked by it.
            requests_max: 4,
            // Longer than a batch takes on a processor, and than Ollama takes to load a model.
            timeout_seconds: 60,
            // About three seconds of pauses: a restart of the service takes longer and comes again.
            attempts_max: 5,
            // A minute's quota is there again; what is longer waits in the queue, not in our hands.
            wait_seconds_max: 60,
            // 75,000 texts of the local model: what a person writes, several times over.
            cache_bytes_max: 128 << 20,
        }
    }
}

/// What embeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The model in the model folder.
    Local,
    /// A service that speaks `OpenAI`'s protocol.
    OpenAi,
    /// A text-embeddings-inference.
    Tei,
    /// An Ollama.
    Ollama,
    /// A deterministic hash of the words: for tests and benches.
    Hash,
}

impl Backend {
    /// What the service speaks; none where there is none.
    pub fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Local | Self::Hash => None,
            Self::OpenAi => Some(Protocol::OpenAi),
            Self::Tei => Some(Protocol::Tei),
            Self::Ollama => Some(Protocol::Ollama),
        }
    }
}

impl Model {
    /// The folder of the model's files, for this data folder.
    pub fn folder_in(&self, data: &Path) -> PathBuf {
        data.join(&self.folder)
    }

    /// These settings without what lets us in, to be kept beside an index: its model is found again by
    /// them when the settings name another one.
    #[must_use]
    pub fn recipe(&self) -> Self {
        Self {
            api_key: Secret::default(),
            ..self.clone()
        }
    }

    /// The settings of a recipe that is opened by a process with these ones. What lets us in is sent
    /// where these settings send it, and nowhere else.
    #[must_use]
    pub fn of_recipe(&self, mut recipe: Self) -> Self {
        recipe.threads = self.threads;
        if (recipe.backend, &recipe.url) == (self.backend, &self.url) {
            recipe.api_key = self.api_key.clone();
        }
        recipe
    }

    /// How the service is asked; a relative tokenizer lies in the data folder. None where no service
    /// embeds, or its address cannot be.
    pub fn service(&self, data: &Path) -> Option<HttpOptions> {
        let protocol = self.backend.protocol()?;
        let some = |number: usize| (number > 0).then_some(number);
        let is_given = |path: &&PathBuf| !path.as_os_str().is_empty();
        Some(HttpOptions {
            protocol,
            url: self.address(protocol).ok()?,
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            key: self.api_key.clone(),
            dimension: some(self.dimension),
            token_limit: self.token_limit,
            tokenizer: Some(&self.tokenizer)
                .filter(is_given)
                .map(|path| data.join(path)),
            texts_max: some(self.batch_texts_max),
            tokens_max: some(self.batch_tokens_max),
            bytes_max: self.batch_bytes_max,
            requests_max: self.requests_max,
            timeout: Some(Duration::from_secs(self.timeout_seconds)),
            attempts_max: self.attempts_max,
            wait_max: Duration::from_secs(self.wait_seconds_max),
            jitter: None,
        })
    }

    /// Bytes of vectors that are kept; the hash embedder makes one sooner than it is found.
    pub fn cache_bytes(&self) -> u64 {
        match self.backend {
            Backend::Hash => 0,
            Backend::Local | Backend::OpenAi | Backend::Tei | Backend::Ollama => {
                self.cache_bytes_max
            }
        }
    }

    /// Settings of a range, each with its least and greatest value.
    pub(super) fn bounds(&self) -> Vec<(&'static str, u64, u64, u64)> {
        let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let texts = wide(self.batch_texts_max);
        let tokens = wide(self.batch_tokens_max);
        let bytes = wide(self.batch_bytes_max);
        vec![
            ("model.threads", wide(self.threads), 0, 1_024),
            ("model.dimension", wide(self.dimension), 0, 65_536),
            ("model.token_limit", wide(self.token_limit), 32, 65_536),
            ("model.batch_texts_max", texts, 0, 2_048),
            ("model.batch_tokens_max", tokens, 0, 10_000_000),
            ("model.batch_bytes_max", bytes, 1_024, 64 << 20),
            ("model.requests_max", wide(self.requests_max), 1, 256),
            ("model.timeout_seconds", self.timeout_seconds, 1, 3_600),
            ("model.attempts_max", self.attempts_max.into(), 1, 100),
            ("model.wait_seconds_max", self.wait_seconds_max, 0, 1_500),
            ("model.cache_bytes_max", self.cache_bytes_max, 0, 1 << 40),
        ]
    }

    /// What is wrong with the settings of the service, as `setting: why`.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let Some(protocol) = self.backend.protocol() else {
            return Vec::new();
        };
        let mut faults = Vec::new();
        if let Err(why) = self.address(protocol) {
            faults.push(("model.url", why));
        }
        if self.name.is_empty() && protocol != Protocol::Tei {
            let why = "it is empty, and the service has many models: name one";
            faults.push(("model.name", why.to_owned()));
        }
        faults
    }

    /// The service's address. The address itself is not told: a key may have been put into it.
    fn address(&self, protocol: Protocol) -> Result<Url, String> {
        let text = match self.url.as_str() {
            "" => protocol.usual_url(),
            url => url,
        };
        let url = Url::parse(text).map_err(|error| format!("it is no address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it should begin with https:// or http://".into());
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err("what lets us in belongs into model.api_key, not into the address".into());
        }
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if self.api_key.is_set() && url.scheme() == "http" && !is_here {
            return Err("model.api_key would go to another machine unencrypted: use https".into());
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(url: &str, key: &str) -> Model {
        let json = serde_json::json!({
            "backend": "openai", "url": url, "name": "m", "api_key": key, "tokenizer": "t.json",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_address_that_would_give_a_key_away_is_refused() {
        for (url, key, part) in [
            ("ftp://host/", "", "begin with https"),
            ("host:80/v1", "", "begin with https"),
            (
                "https://user:hunter2@host/v1",
                "",
                "belongs into model.api_key",
            ),
            (
                "https://host/v1?key=hunter2",
                "",
                "belongs into model.api_key",
            ),
            ("http://10.0.0.7/v1", "hunter2", "unencrypted"),
            ("no address hunter2", "", "no address"),
        ] {
            let faults = format!("{:?}", model(url, key).faults());
            assert!(faults.contains(part), "{url}: {faults}");
            assert!(!faults.contains("hunter2"), "{faults}");
        }
        for (url, key) in [
            ("", "hunter2"),
            ("http://10.0.0.7/v1", ""),
            ("http://127.0.0.1:8080", "hunter2"),
            ("http://localhost:8080", "hunter2"),
        ] {
            assert_eq!(model(url, key).faults(), Vec::new(), "{url}");
        }
    }

    #[test]
    fn a_recipe_holds_no_key_and_gets_it_for_its_own_service_only() {
        let given = model("https://host/v1", "hunter2");
        let recipe = given.recipe();
        assert!(!serde_json::to_string(&recipe).unwrap().contains("hunter2"));
        assert_eq!(given.of_recipe(recipe.clone()), given);
        let elsewhere = model("https://other/v1", "");
        assert!(!given.of_recipe(elsewhere).api_key.is_set());
    }

    #[test]
    fn a_key_is_not_shown() {
        let model = model("", "hunter2");
        let options = model.service(Path::new("/data")).unwrap();
        assert!(!format!("{model:?} {options:?}").contains("hunter2"));
        assert_eq!(options.url.as_str(), "https://api.openai.com/v1");
        assert_eq!(options.tokenizer, Some(PathBuf::from("/data/t.json")));
        assert_eq!(Model::default().service(Path::new("/data")), None);
    }
}
