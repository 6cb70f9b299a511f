//! What others find, by others.py.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use lockstep::{Error, Result};
use serde_json::Value;

use crate::score::Rankings;

/// The same model, on documents as they are, compared with every one of them.
pub(crate) const EXACT: &str = "sentence-transformers, exact";

const NAME: &str = "others.py";

/// The rankings of each of the others, by name.
pub(crate) fn ask(
    python: &Path,
    (collection, model): (&Path, &Path),
    chunks: &[Value],
) -> Result<Vec<(String, Rankings)>> {
    let fail = |what| Error::unavailable(NAME, what);
    let folder = tempfile::tempdir().map_err(fail("make a folder"))?;
    let path = folder.path().join("chunks.jsonl");
    let mut file = BufWriter::new(File::create(&path).map_err(fail("be given the chunks"))?);
    for chunk in chunks {
        writeln!(file, "{chunk}").map_err(fail("be given the chunks"))?;
    }
    drop(file);
    let script = "benches/retrieval/others.py";
    let output = Command::new(python)
        .arg(script)
        .args([collection, model, &path])
        .stderr(Stdio::inherit())
        .output()
        .map_err(fail("start"))?;
    if !output.status.success() {
        let why = format!("it ended with {}", output.status);
        return Err(Error::unavailable(NAME, "rank")(why));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Error::malformed("the answer of others.py", error.to_string()))
}
