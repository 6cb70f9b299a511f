//! `OP_MSG`, the one message that a driver of today sends and reads.
//!
//! ```text
//! length, id, answers, 2013 | flags | 0 document | 1 size, name, documents … | checksum
//! ```

use bson::{Bson, Document};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const OP_MSG: i32 = 2013;
const HEADER_BYTES: usize = 16;
const CHECKSUM_PRESENT: u32 = 1;
const MORE_TO_COME: u32 = 2;

/// A command, with the documents that were sent beside it put back into their place.
pub(crate) struct Request {
    pub(crate) id: i32,
    pub(crate) body: Document,
    /// False for a write that nobody wants to hear of again.
    pub(crate) wants_reply: bool,
}

/// Texts that are other bytes on the wire, of the same length: as a program wrote them that took any for text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spelling(pub(crate) &'static [(&'static str, &'static [u8])]);

impl Spelling {
    fn write(&self, bytes: &mut [u8]) {
        for (text, spelled) in self.0 {
            exchange(bytes, text.as_bytes(), spelled);
        }
    }

    fn read(&self, bytes: &mut [u8]) {
        for (text, spelled) in self.0 {
            exchange(bytes, spelled, text.as_bytes());
        }
    }
}

fn exchange(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
        }
    }
}

/// Reads one command; none when the other side has left.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    spelling: &Spelling,
) -> Option<Request> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await.ok()?;
    let length = usize::try_from(number(&header, 0)).unwrap();
    assert_eq!(number(&header, 12), OP_MSG, "only OP_MSG is spoken here");
    let mut rest = vec![0; length - HEADER_BYTES];
    stream.read_exact(&mut rest).await.ok()?;
    spelling.read(&mut rest);
    let flags = number(&rest, 0).cast_unsigned();
    let checksum_bytes = if flags & CHECKSUM_PRESENT == 0 { 0 } else { 4 };
    Some(Request {
        id: number(&header, 4),
        body: body(&rest[4..rest.len() - checksum_bytes]),
        wants_reply: flags & MORE_TO_COME == 0,
    })
}

/// The bytes of a reply.
pub(crate) fn reply(to: i32, body: &Document, spelling: &Spelling) -> Vec<u8> {
    let mut body = body.to_vec().unwrap();
    spelling.write(&mut body);
    let length = i32::try_from(HEADER_BYTES + 5 + body.len()).unwrap();
    let mut bytes = Vec::new();
    for number in [length, to, to, OP_MSG, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.push(0);
    bytes.extend(body);
    bytes
}

/// Joins the sections of a message.
fn body(mut sections: &[u8]) -> Document {
    let (mut body, mut beside) = (Document::new(), Document::new());
    while let Some((kind, rest)) = sections.split_first() {
        let (section, after) = rest.split_at(usize::try_from(number(rest, 0)).unwrap());
        if *kind == 0 {
            body = Document::from_reader(section).unwrap();
        } else {
            let (name, documents) = sequence(&section[4..]);
            beside.insert(name, documents);
        }
        sections = after;
    }
    body.extend(beside);
    body
}

/// A named run of documents.
fn sequence(bytes: &[u8]) -> (String, Vec<Bson>) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    let name = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let (mut rest, mut documents) = (&bytes[end + 1..], Vec::new());
    while !rest.is_empty() {
        documents.push(Document::from_reader(&mut rest).unwrap().into());
    }
    (name, documents)
}

fn number(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}
