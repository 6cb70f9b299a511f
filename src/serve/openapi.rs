//! The description of the HTTP API, made from its code.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Description, Ref};
use utoipa::{Modify, OpenApi};

use super::SEED_PATH;
use super::api::{authors, crawl, documents, export, parked, search, seed, status};
use super::problem::{PROBLEM, Problem};

/// The name of the one scheme by which somebody gets in.
const TOKEN: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lockstep",
        description = "Search, documents, crawls and exports of a vector index that is kept in lockstep with a document store.",
    ),
    paths(
        search::asked,
        search::posted,
        documents::document,
        export::export,
        authors::authors,
        crawl::order,
        crawl::job,
        crawl::cancel,
        seed::invoke,
        status::status,
        parked::parked,
    ),
    components(schemas(Problem)),
    modifiers(&Common),
    tags(
        (name = "search", description = "Questions"),
        (name = "documents", description = "What the index holds"),
        (name = "crawl", description = "What is read into the source"),
        (name = "operation", description = "How it stands"),
    ),
)]
struct Api;

/// The whole description.
pub(super) fn document() -> Description {
    Api::openapi()
}

/// What all operations share: the token, and a problem for whatever goes otherwise.
struct Common;

impl Modify for Common {
    fn modify(&self, api: &mut Description) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of `lockstep token create`"))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
        let none: [&str; 0] = [];
        for (path, item) in &mut api.paths.paths {
            for operation in operations(item) {
                let mut needed = vec![SecurityRequirement::new(TOKEN, none)];
                if path == SEED_PATH {
                    // By setting also without one.
                    needed.push(SecurityRequirement::default());
                }
                operation.security = Some(needed);
                let problem = ResponseBuilder::new()
                    .description("Why there is no other answer")
                    .content(
                        PROBLEM,
                        Content::new(Some(Ref::from_schema_name("Problem"))),
                    )
                    .build();
                let others = &mut operation.responses.responses;
                others.insert("default".to_owned(), problem.into());
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get, post, delete, ..
    } = item;
    get.iter_mut().chain(post).chain(delete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_the_version_that_clients_expect_and_every_operation_needs_a_token() {
        let text = serde_json::to_value(document()).unwrap();
        assert_eq!(text["openapi"], "3.1.0");
        let paths = text["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 9);
        assert!(paths["/v1/crawl/{job}"]["delete"].is_object());
        for (path, item) in paths {
            for (method, operation) in item.as_object().unwrap() {
                assert!(
                    operation["security"][0][TOKEN].is_array(),
                    "{method} {path}"
                );
                assert!(
                    operation["responses"]["default"].is_object(),
                    "{method} {path}"
                );
            }
        }
    }
}
