//! Tokens, for people.

use super::{BOLD, DIM, plain};
use crate::moment::rfc3339;
use crate::token::{Created, Token};

/// The token by itself on a line, so that a script can take it.
pub(in crate::cli) fn created(created: &Created) -> String {
    format!("{}\n", created.token.expose())
}

/// A line a token.
pub(in crate::cli) fn tokens(tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return "there is no token\n".to_owned();
    }
    let line = |token: &Token| {
        let (id, name) = (plain(&token.id), plain(&token.name));
        let made = rfc3339(token.created_ms);
        format!("{BOLD}{id}{BOLD:#}  {made}  {DIM}{name}{DIM:#}\n")
    };
    tokens.iter().map(line).collect()
}
