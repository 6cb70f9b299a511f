//! Which network addresses may be asked: public ones, unless the settings allow more.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Lets requests through to public addresses and to what was allowed by name.
///
/// It judges a link's own address before a request, and every address that a name resolves to at
/// the moment of the connection, so that a name cannot change its meaning in between.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    everything: bool,
    hosts: Arc<HashSet<String>>,
}

impl Guard {
    /// Allows `hosts` in any case, and everything if `everything`.
    pub(crate) fn new(everything: bool, hosts: &[String]) -> Self {
        Self {
            everything,
            hosts: Arc::new(hosts.iter().map(|host| host.to_lowercase()).collect()),
        }
    }

    /// Judges scheme and host of a link; a name is judged again when it is resolved.
    pub(crate) fn permit(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{} links are not followed", url.scheme()));
        }
        let address = match url.host() {
            None => return Err("it names no host".to_owned()),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
        };
        let host = url.host_str().unwrap_or_default();
        if self.allows(host) || is_public(address) {
            Ok(())
        } else {
            Err(refusal(host))
        }
    }

    pub(crate) fn allows(&self, host: &str) -> bool {
        self.everything || self.hosts.contains(&host.to_lowercase())
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let allowed = guard.allows(host);
            let usable: Vec<SocketAddr> = found
                .filter(|address| allowed || is_public(address.ip()))
                .collect();
            if usable.is_empty() {
                return Err(refusal(host).into());
            }
            Ok(Box::new(usable.into_iter()) as Addrs)
        })
    }
}

fn refusal(host: &str) -> String {
    format!("{host} is a private address: set crawl.allow_private or name it in crawl.allow_hosts")
}

/// Whether an address belongs to the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 240..=255, ..)            // this network; reserved and broadcast
            | (100, 64..=127, _)       // shared by providers
            | (192, 0, 0)              // protocol assignments
            | (198, 18..=19, _) // benchmarks
    );
    !(special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, .., high, low] = address.segments();
    let middle = &address.segments()[2..6];
    let inner =
        |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b) {
        // Mapped and translated addresses are judged by the one they stand for.
        (0, 0) if middle == [0, 0, 0, 0xffff] => inner(high, low),
        (0x64, 0xff9b) => middle == [0; 4] && inner(high, low),
        (0x2002, _) => inner(b, c),
        // Tunnels, documentation, and everything outside of global unicast.
        (0x2001, 0 | 0xdb8) => false,
        _ => (0x2000..=0x3fff).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for address in [
            "1.1.1.1",
            "172.32.0.1",
            "100.63.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
        ] {
            assert!(public(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        let guard = Guard::new(false, &[]);
        let permit = |text: &str| guard.permit(&Url::parse(text).unwrap());
        for link in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://169.254.169.254/latest",
            "ftp://example.org/",
        ] {
            assert!(permit(link).is_err(), "{link}");
        }
        assert!(permit("https://example.org/").is_ok());
    }

    #[test]
    fn an_allowed_host_opens_no_other() {
        let guard = Guard::new(false, &["127.0.0.1".to_owned()]);
        let permit = |text: &str| guard.permit(&Url::parse(text).unwrap());
        assert!(permit("http://127.0.0.1:8000/").is_ok());
        assert!(permit("http://127.0.0.2:8000/").is_err());
    }
}
