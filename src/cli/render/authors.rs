//! What `author` answers, for people.

use std::fmt::Write as _;

use crate::author::{Deleted, List, Renamed};

use super::{BOLD, DIM, Written, documents, plain};

pub(super) fn list(out: &mut String, list: &List) -> Written {
    if list.authors.is_empty() {
        writeln!(out, "nobody is stored")?;
    }
    for author in &list.authors {
        let (name, id) = (plain(&author.full_name), plain(&author.id));
        let theirs = documents(author.documents);
        write!(out, "{BOLD}{name}{BOLD:#}  {theirs}  {DIM}{id}")?;
        if !author.former_names.is_empty() {
            write!(out, ", before: {}", plain(&author.former_names.join(", ")))?;
        }
        writeln!(out, "{DIM:#}")?;
    }
    Ok(())
}

pub(super) fn renamed(out: &mut String, renamed: &Renamed) -> Written {
    let (from, to) = (plain(&renamed.from), plain(&renamed.to));
    writeln!(
        out,
        "{from} is {to} now, in {}",
        documents(renamed.documents)
    )
}

pub(super) fn deleted(out: &mut String, deleted: &Deleted) -> Written {
    let name = plain(&deleted.full_name);
    writeln!(out, "deleted {name} and {}", documents(deleted.documents))
}
