//! TLS in front of servers that have none, with certificates of an authority of the tests' own.
//!
//! ```text
//! client ──TLS──> Terminator ──plain──> server
//! ```

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::NamedTempFile;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use uuid::Uuid;

/// Who signs the certificates of servers; nobody trusts it who was not given its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
        // Two of one name would pass for each other until the signature is looked at.
        let name = format!("an authority of the tests, {}", Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { issuer, file }
    }

    /// Its own certificate, for who is to trust it.
    pub(crate) fn file(&self) -> &Path {
        self.file.path()
    }

    /// A server that has these names, hosts or addresses.
    fn server(&self, names: &[&str]) -> ServerConfig {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        // A client of gRPC insists on it, and one that does not ask for it is served without.
        config.alpn_protocols.push(b"h2".to_vec());
        config
    }
}

/// Ends TLS for one target; ends itself with its value.
pub(crate) struct Terminator {
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl Terminator {
    /// In front of `target`, a host and port, as a server of these names. The target is asked for only when a
    /// client has taken the certificate.
    pub(crate) async fn start(authority: &Authority, names: &[&str], target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(names)));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, acceptor, target));
        Self {
            address,
            _accepting: accepting,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, target: String) {
    let mut carried = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.unwrap();
        let (acceptor, target) = (acceptor.clone(), target.clone());
        carried.spawn(async move {
            // A client that takes no such certificate hangs up, and the test looks at the client.
            carry(near, &acceptor, &target).await.ok();
        });
        while carried.try_join_next().is_some() {}
    }
}

async fn carry(near: TcpStream, acceptor: &TlsAcceptor, target: &str) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    let mut near = acceptor.accept(near).await?;
    let mut far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}
