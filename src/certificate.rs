//! What a TLS client says of a server's certificate, told to a person.
//!
//! Each client wraps it in its own way, and some keep no more of it than text. So it is known by the words of
//! rustls, which all of them use: as it shows them, and as its fields are listed.

/// How most clients are given the certificate of an authority.
pub(crate) const BY_VARIABLE: &str =
    "name a file with the certificate of its authority by the variable SSL_CERT_FILE";

/// What clients say that found no authority at all.
const NOBODY: [&str; 3] = [
    "Failed to create TLS config",
    "failed to read PEM",
    "Could not load any valid",
];

/// A certificate that was not taken.
const NOT_TAKEN: [&str; 2] = ["invalid peer certificate", "InvalidCertificate("];

/// Why the certificate of a server was not taken, and what to do; none where `said` is of something else.
///
/// `setting` has the address of the server, and `give` says how this client is given an authority's certificate.
pub(crate) fn distrusted(said: &str, setting: &str, give: &str) -> Option<(&'static str, String)> {
    let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
    if says(&NOBODY) {
        let fix = format!("install ca-certificates, or {give}, and let it be readable");
        return Some((
            "no authority could be read that its certificate may be of",
            fix,
        ));
    }
    if !says(&NOT_TAKEN) {
        return None;
    }
    let told = if says(&["UnknownIssuer"]) {
        let why = "its certificate is not trusted: nobody here knows its authority";
        (why, give.to_owned())
    } else if says(&["not valid for name", "NotValidForName"]) {
        let fix =
            format!("give a host in {setting} that it has, or it a certificate that has this one");
        ("its certificate is not for this host", fix)
    } else if says(&["expired", "Expired", "not valid yet", "NotValidYet"]) {
        let fix = "renew it, or correct the clock of this machine".to_owned();
        ("its certificate is not valid at this time", fix)
    } else {
        let fix = format!("give it another, or correct {setting}");
        ("its certificate is not valid", fix)
    };
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_taken_is_told_with_what_to_do() {
        let table = [
            (
                "IO error: invalid peer certificate: UnknownIssuer",
                "not trusted",
                "GIVE",
            ),
            (
                "error: InvalidCertificate(UnknownIssuer) }))",
                "not trusted",
                "GIVE",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"127.0.0.1\"; certificate is only valid \
                 for DnsName(\"localhost\")",
                "not for this host",
                "queue.url",
            ),
            (
                "InvalidCertificate(NotValidForNameContext { expected: IpAddress(..), presented: [] })",
                "not for this host",
                "queue.url",
            ),
            (
                "invalid peer certificate: certificate expired: verification time 2",
                "this time",
                "renew",
            ),
            (
                "invalid peer certificate: BadEncoding",
                "not valid",
                "another",
            ),
            (
                "failed to read PEM from file: No such file at '/a.pem'",
                "no authority",
                "GIVE",
            ),
        ];
        for (said, why, fix) in table {
            let told = distrusted(said, "queue.url", "GIVE").unwrap();
            assert!(
                told.0.contains(why) && told.1.contains(fix),
                "{said}: {told:?}"
            );
        }
        assert_eq!(distrusted("connection refused", "queue.url", "GIVE"), None);
    }
}
