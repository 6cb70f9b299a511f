//! The crawl path of the first system, an AWS Lambda function behind its emulator, as its clients know it.
//!
//! The emulator answers every invocation with status 200; how it went is in the body: what the function
//! returned, or of which sort the exception was that it did not catch.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::Shared;
use super::super::extract::whole;
use super::super::problem::Problem;
use super::crawl::{refusal, what};
use crate::command::Library;

/// What the function answers.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// It came to its end, well or not.
    #[serde(rename_all = "camelCase")]
    Returned {
        /// 200, or 500 where the link could not be processed.
        status_code: u16,
        /// "Link processed successfully", or "An error occurred: …".
        body: String,
    },
    /// The event could not be used.
    #[serde(rename_all = "camelCase")]
    Raised {
        error_message: String,
        error_type: String,
        request_id: String,
        stack_trace: Vec<String>,
    },
}

/// Crawls a link and answers when that is done.
#[utoipa::path(
    post,
    path = "/2015-03-31/functions/function/invocations",
    tag = "crawl",
    operation_id = "invoke",
    request_body(
        content = Option<Value>,
        content_type = "application/json",
        description = "`user`: a full name of at most 256 characters, and `link`: an http or https link of at most \
            8,192. The media type is not looked at, and whatever else is sent is answered as the function did.",
        example = json!({"user": "Ada Lovelace", "link": "https://example.org/article"}),
    ),
    responses((status = OK, description = "How it went stands in the body", body = Answer)),
)]
pub(crate) async fn invoke<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
    request: Request,
) -> Result<Json<Answer>, Problem> {
    let body = whole(request, &()).await?;
    let event: Value = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(error) => {
            return Ok(raised(
                "Runtime.UnmarshalError",
                format!("Unable to unmarshal input: {error}"),
            ));
        }
    };
    let text = |name| event.get(name).and_then(Value::as_str);
    let Some(user) = text("user").filter(|user| !user.trim().is_empty()) else {
        return Ok(raised(
            "ImproperlyConfigured",
            "User name is empty".to_owned(),
        ));
    };
    let Some(link) = text("link") else {
        let why = "expected string or bytes-like object, got 'NoneType'";
        return Ok(raised("TypeError", why.to_owned()));
    };
    let asked = what(user, link).and_then(|what| shared.jobs.ask(what).map_err(refusal));
    let outcome = match asked {
        Ok((_, outcome)) => outcome
            .await
            .unwrap_or_else(|_| Err("it was stopped".to_owned())),
        Err(problem) => Err(problem.detail().to_owned()),
    };
    Ok(Json(match outcome {
        Ok(_) => Answer::Returned {
            status_code: 200,
            body: "Link processed successfully".to_owned(),
        },
        Err(why) => Answer::Returned {
            status_code: 500,
            body: format!("An error occurred: {why}"),
        },
    }))
}

fn raised(kind: &str, message: String) -> Json<Answer> {
    Json(Answer::Raised {
        error_message: message,
        error_type: kind.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        stack_trace: Vec::new(),
    })
}
