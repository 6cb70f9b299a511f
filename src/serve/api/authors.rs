//! `GET /v1/authors`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Shared;
use super::super::problem::Problem;
use super::ask;
use crate::author;
use crate::command::{Library, Request, Response};

/// Everybody who is stored, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Authors {
    authors: Vec<Author>,
}

/// Somebody whose documents are stored.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Author {
    /// What their documents carry as `author_id` or `owner_id`.
    id: String,
    /// The name.
    name: String,
    /// Names that they had before.
    former_names: Vec<String>,
    /// How many documents are theirs.
    documents: u64,
}

/// Everybody whose documents are stored; every document is read once for it.
#[utoipa::path(
    get,
    path = "/v1/authors",
    tag = "documents",
    responses((status = OK, description = "Everybody, by name", body = Authors)),
)]
pub(crate) async fn authors<L: Library>(
    State(shared): State<Arc<Shared<L>>>,
) -> Result<Json<Authors>, Problem> {
    let library = shared.library.as_ref();
    let list = ask(library, Request::AuthorList {}, |answer| match answer {
        Response::AuthorList(list) => Some(list),
        _ => None,
    });
    let authors = list.await?.authors.into_iter().map(Author::from);
    Ok(Json(Authors {
        authors: authors.collect(),
    }))
}

impl From<author::Author> for Author {
    fn from(author: author::Author) -> Self {
        Self {
            id: author.id,
            name: author.full_name,
            former_names: author.former_names,
            documents: author.documents,
        }
    }
}

/// The same at whoever asked.
impl From<Authors> for author::List {
    fn from(Authors { authors }: Authors) -> Self {
        let authors = authors.into_iter().map(|author| author::Author {
            id: author.id,
            full_name: author.name,
            former_names: author.former_names,
            documents: author.documents,
        });
        Self {
            authors: authors.collect(),
        }
    }
}
