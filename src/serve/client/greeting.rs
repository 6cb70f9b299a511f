//! Whether the process that announced itself in a folder is there still, and has that folder.

use std::time::Duration;

use reqwest::StatusCode;

use super::super::health::GREETING;
use super::Client;

/// How long a process may take to say that it is there; it does nothing else for that answer.
const GREETING_TIMEOUT: Duration = Duration::from_secs(3);
/// No command: who is let in is told so, and nothing else happens.
const NO_COMMAND: &str = "greeting";

impl Client {
    /// Whether one of us answers at the address.
    pub(super) async fn answers(&self) -> bool {
        let address = format!("{}/livez", self.endpoint.address);
        let asked = self
            .http
            .get(address)
            .timeout(GREETING_TIMEOUT)
            .send()
            .await;
        match asked {
            Ok(answer) => answer.text().await.is_ok_and(|text| text == GREETING),
            Err(_) => false,
        }
    }

    /// Whether who answers knows the folder's token: where one was killed, that of another folder may have its address
    /// now. What else goes wrong is for the command to tell.
    pub(super) async fn lets_in(&self) -> bool {
        let asked = self
            .http
            .post(format!("{}/internal/{NO_COMMAND}", self.endpoint.address))
            .bearer_auth(&self.endpoint.token)
            .timeout(GREETING_TIMEOUT)
            .send()
            .await;
        !asked.is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::tests::served;
    use super::*;
    use crate::folder::{Endpoint, Folder};

    #[tokio::test]
    async fn an_endpoint_left_behind_by_a_dead_process_is_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(Endpoint {
            address,
            token: "right".into(),
        })
        .unwrap();
        assert!(!client.answers().await);
    }

    #[tokio::test]
    async fn another_folders_process_at_the_address_of_a_dead_one_is_nobody() {
        let (roles, client) = served("right").await;
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        for (token, is_there) in [("right", true), ("of one that was killed", false)] {
            let address = client.endpoint.address.clone();
            let token = token.to_owned();
            folder.announce(&Endpoint { address, token }).unwrap();
            let found = Client::find(home.path()).await.unwrap();
            assert_eq!(found.is_some(), is_there);
        }
        roles.stop(Duration::from_secs(5)).await.unwrap();
    }
}
