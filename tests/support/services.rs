//! Services that are somebody else's, given by their URLs: `make test-services`.

/// A Qdrant server's, `http://host:6334`.
pub(crate) const QDRANT: &str = "LOCKSTEP_TEST_QDRANT_URL";

/// A MongoDB's, `mongodb://...`, with its fail points enabled (`enableTestCommands=1`).
pub(crate) const MONGO: &str = "LOCKSTEP_TEST_MONGO_URL";
/// A RabbitMQ's, `amqp://...`.
pub(crate) const RABBIT: &str = "LOCKSTEP_TEST_RABBIT_URL";

/// The URL in this variable, where it is set.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told by its environment where the service is"
)]
pub(crate) fn url(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}
