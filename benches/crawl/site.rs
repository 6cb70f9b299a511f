//! A server that answers in one form, by bytes, since no library for servers would send most of them.

use std::time::Duration;

use lockstep::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::forms::{Form, Then};

/// Between two drops of an answer that comes drop by drop.
const DROP: Duration = Duration::from_millis(500);

/// Serves until it is killed; the first line that it prints is where.
pub(crate) async fn serve(form: &'static Form) -> Result<()> {
    let fail = || Error::unavailable("the bench's server", "listen");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(fail())?;
    let address = listener.local_addr().map_err(fail())?;
    println!("http://{address}");
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.map_err(fail())?;
        connections.spawn(answer(stream, form));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers one request. Whoever has been told enough hangs up.
async fn answer(mut stream: TcpStream, form: &'static Form) {
    let mut asked = vec![0; 8_192];
    let count = stream.read(&mut asked).await.unwrap_or_default();
    asked.truncate(count);
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let answer = form.answer(asked.split(' ').nth(1).unwrap_or_default());
    if stream.write_all(&answer.begin).await.is_err() {
        return;
    }
    match answer.then {
        Then::Ends => {}
        Then::Again(part) => while stream.write_all(&part).await.is_ok() {},
        Then::Drips(part) => {
            while stream.write_all(part.as_bytes()).await.is_ok() {
                sleep(DROP).await;
            }
        }
    }
    stream.shutdown().await.ok();
}
