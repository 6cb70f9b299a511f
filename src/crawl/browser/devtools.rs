//! Chromium's `DevTools` protocol over two pipes: one JSON object a message, a zero byte behind each.
//!
//! One caller, one question at a time: the answer is read up to, and events on the way are passed over, but for how a
//! server answered for a document. So there is no task that listens, no port that others could connect to, and a bound
//! on every message.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

/// How often a page may go elsewhere while one thing is asked of it.
const MOVES_MAX: usize = 10;
/// Answers for documents that are remembered of one page; it may hold frames without end.
const ANSWERS_MAX: usize = 1_000;
/// The event that tells how a server answered.
const ANSWERED: &str = "Network.responseReceived";

/// Our end of the pipes.
pub(super) struct DevTools {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    message_bytes_max: u64,
    asked: u64,
    /// How servers answered for the documents of the open page, by frame; the last word of each.
    answers: HashMap<String, Answer>,
}

/// How a server answered for a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its header of that name.
    pub(super) retry_after: Option<String>,
}

/// A page that is open, by the name of the session with it.
pub(super) struct Session(String);

/// What stands in a frame.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    id: String,
    loader_id: String,
}

/// An answer, or an event, which has no number.
#[derive(Deserialize)]
struct Message {
    id: Option<u64>,
    result: Option<Value>,
    error: Option<Refused>,
    method: Option<String>,
    params: Option<Value>,
}

#[derive(Deserialize)]
struct Refused {
    message: String,
}

impl DevTools {
    /// Speaks over these pipes; a larger message ends it.
    pub(super) fn new(to: ChildStdin, from: ChildStdout, message_bytes_max: u64) -> Self {
        Self {
            to,
            from: BufReader::new(from),
            message_bytes_max,
            asked: 0,
            answers: HashMap::new(),
        }
    }

    /// Asks the browser itself. Not cancel safe: what was asked and not answered confuses the next answer.
    ///
    /// # Errors
    /// In words, as the browser has it, or that it has ended.
    pub(super) async fn browser(
        &mut self,
        method: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        self.call(json!({"method": method, "params": parameters}))
            .await
    }

    /// Asks a page, as [`DevTools::browser`] asks the browser.
    pub(super) async fn page(
        &mut self,
        session: &Session,
        method: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        let session = &session.0;
        self.call(json!({"method": method, "params": parameters, "sessionId": session}))
            .await
    }

    /// Opens an empty page that shares nothing with those before it.
    pub(super) async fn open(&mut self) -> Result<(Session, String), String> {
        self.answers.clear();
        let context = json!({"disposeOnDetach": true});
        let context = self.browser("Target.createBrowserContext", context).await?;
        let context = text(&context, "browserContextId")?;
        let target = json!({"url": "about:blank", "browserContextId": context});
        let target = self.browser("Target.createTarget", target).await?;
        let target = json!({"targetId": text(&target, "targetId")?, "flatten": true});
        let session = self.browser("Target.attachToTarget", target).await?;
        Ok((Session(text(&session, "sessionId")?), context))
    }

    /// How the server answered for what the page shows, or would; none where it was asked for nothing.
    pub(super) async fn answer(&mut self, session: &Session) -> Result<Option<Answer>, String> {
        // What is asked reads all events that came before, too.
        let document = self.document(session).await?;
        Ok(self.answers.get(&document.id).cloned())
    }

    /// Evaluates in a world of our own: the page's scripts cannot change what the words mean there. Where the page
    /// goes elsewhere meanwhile, which takes that world with it, it is done again on the new one.
    pub(super) async fn evaluate<T: DeserializeOwned>(
        &mut self,
        session: &Session,
        expression: &str,
    ) -> Result<T, String> {
        let mut document = self.document(session).await?;
        for _ in 0..MOVES_MAX {
            let answer = self.evaluate_in(session, &document, expression).await;
            let now = match &answer {
                Ok(_) => None,
                Err(_) => Some(self.document(session).await?),
            };
            match now.filter(|now| *now != document) {
                Some(now) => document = now,
                None => return answer,
            }
        }
        Err(format!("it went elsewhere {MOVES_MAX} times"))
    }

    /// What the page shows now: its frame, and the load that filled it.
    async fn document(&mut self, session: &Session) -> Result<Document, String> {
        let tree = self.page(session, "Page.getFrameTree", json!({})).await?;
        let frame = tree.pointer("/frameTree/frame").cloned();
        serde_json::from_value(frame.unwrap_or_default()).map_err(|error| error.to_string())
    }

    async fn evaluate_in<T: DeserializeOwned>(
        &mut self,
        session: &Session,
        document: &Document,
        expression: &str,
    ) -> Result<T, String> {
        let world = json!({"frameId": document.id, "worldName": "lockstep"});
        let world = self
            .page(session, "Page.createIsolatedWorld", world)
            .await?;
        let context = world.get("executionContextId").cloned();
        let evaluate =
            json!({"expression": expression, "contextId": context, "returnByValue": true});
        let mut answer = self.page(session, "Runtime.evaluate", evaluate).await?;
        if let Some(thrown) = answer.pointer("/exceptionDetails/text") {
            return Err(format!("a script of ours failed: {thrown}"));
        }
        let value = answer.pointer_mut("/result/value").map(Value::take);
        serde_json::from_value(value.unwrap_or_default()).map_err(|error| error.to_string())
    }

    async fn call(&mut self, mut message: Value) -> Result<Value, String> {
        self.asked += 1;
        message["id"] = self.asked.into();
        let sent = [message.to_string().as_bytes(), &[0]].concat();
        self.to
            .write_all(&sent)
            .await
            .map_err(|error| ended(&error))?;
        loop {
            let message = self.next().await?;
            if message.id != Some(self.asked) {
                self.hear(message);
                continue;
            }
            return match (message.result, message.error) {
                (_, Some(refused)) => Err(refused.message),
                (result, None) => Ok(result.unwrap_or_default()),
            };
        }
    }

    /// Keeps of an event what is of interest.
    fn hear(&mut self, event: Message) {
        if event.method.as_deref() != Some(ANSWERED) {
            return;
        }
        let told = event.params.unwrap_or_default();
        if let Some((frame, answer)) = answered(&told)
            && (self.answers.len() < ANSWERS_MAX || self.answers.contains_key(&frame))
        {
            self.answers.insert(frame, answer);
        }
    }

    async fn next(&mut self) -> Result<Message, String> {
        let mut bytes = Vec::new();
        let mut part = (&mut self.from).take(self.message_bytes_max);
        part.read_until(0, &mut bytes)
            .await
            .map_err(|error| ended(&error))?;
        if bytes.pop() != Some(0) {
            return Err(if bytes.is_empty() {
                "it has ended".to_owned()
            } else {
                format!(
                    "it answered with more than {} bytes",
                    self.message_bytes_max
                )
            });
        }
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    }
}

/// The frame for whose document a server answered, and how.
fn answered(told: &Value) -> Option<(String, Answer)> {
    if told.get("type")? != "Document" {
        return None;
    }
    let response = told.get("response")?;
    let headers = response.get("headers").and_then(Value::as_object);
    let retry_after = headers.into_iter().flatten().find_map(|(name, value)| {
        let value = value
            .as_str()
            .filter(|_| name.eq_ignore_ascii_case("retry-after"));
        value.map(str::to_owned)
    });
    let answer = Answer {
        status: u16::try_from(response.get("status")?.as_u64()?).ok()?,
        retry_after,
    };
    Some((told.get("frameId")?.as_str()?.to_owned(), answer))
}

fn ended(error: &std::io::Error) -> String {
    format!("it has ended: {error}")
}

fn text(value: &Value, name: &str) -> Result<String, String> {
    let text = value.get(name).and_then(Value::as_str);
    text.map(str::to_owned)
        .ok_or_else(|| format!("it did not say its {name}"))
}
