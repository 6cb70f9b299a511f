//! The names that the first system's `.env` had for some of our settings.
//!
//! They count where neither the file nor a variable of ours says anything. Which there are stands in its
//! `core/config.py` (<https://github.com/decodingml/llm-twin-course>).

use toml::Value;
use url::Url;

use super::environment::{Environment, variable};
use super::origin::{Fault, Given};

/// Their port of Qdrant is that of its REST interface; ours is gRPC's.
const REST_PORT: &str = "6333";
const GRPC_PORT: &str = "6334";

/// Settings that these variables give.
pub(super) fn given(environment: &Environment, faults: &mut Vec<Fault>) -> Vec<Given> {
    let mut seed = Seed {
        environment,
        faults,
        given: Vec::new(),
    };
    seed.plain("source.url", "MONGO_DATABASE_HOST");
    seed.plain("source.database", "MONGO_DATABASE_NAME");
    seed.broker();
    seed.index();
    seed.given
}

struct Seed<'a> {
    environment: &'a Environment,
    faults: &'a mut Vec<Fault>,
    given: Vec<Given>,
}

impl Seed<'_> {
    /// The text of a variable that is set to something.
    fn text(&mut self, name: &str) -> Option<String> {
        match self.environment.text(name) {
            Ok(text) => text.filter(|text| !text.is_empty()).map(str::to_owned),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn plain(&mut self, setting: &str, name: &str) {
        if let Some(text) = self.text(name) {
            self.give(setting, text, name);
        }
    }

    fn give(&mut self, setting: &str, text: String, name: &str) {
        self.given.push(Given {
            name: setting.to_owned(),
            value: Value::String(text),
            from: variable(name),
        });
    }

    fn broker(&mut self) {
        const HOST: &str = "RABBITMQ_HOST";
        let Some(host) = self.text(HOST) else {
            return;
        };
        let mut or = |name: &str, default: &str| self.text(name).unwrap_or(default.to_owned());
        let port = or("RABBITMQ_PORT", "5672");
        let user = or("RABBITMQ_DEFAULT_USERNAME", "guest");
        let password = or("RABBITMQ_DEFAULT_PASSWORD", "guest");
        match broker(&host, &port, &user, &password) {
            Some(url) => self.give("queue.url", url, HOST),
            None => self.faults.push(Fault::of(
                variable(HOST),
                format!("{host:?} with RABBITMQ_PORT {port:?} is no address"),
            )),
        }
    }

    fn index(&mut self) {
        const CLOUD: &str = "USE_QDRANT_CLOUD";
        let in_cloud = self
            .text(CLOUD)
            .is_some_and(|text| ["true", "1", "yes", "on"].contains(&text.to_lowercase().as_str()));
        if in_cloud {
            self.plain("vector.url", "QDRANT_CLOUD_URL");
            self.plain("vector.api_key", "QDRANT_APIKEY");
        } else if let Some(host) = self.text("QDRANT_DATABASE_HOST") {
            let port = self.text("QDRANT_DATABASE_PORT");
            let port = port.as_deref().unwrap_or(REST_PORT);
            let port = if port == REST_PORT { GRPC_PORT } else { port };
            let url = format!("http://{host}:{port}");
            self.give("vector.url", url, "QDRANT_DATABASE_HOST");
        }
    }
}

/// The parts as one address, with whatever a password may hold.
fn broker(host: &str, port: &str, user: &str, password: &str) -> Option<String> {
    let mut url = Url::parse(&format!("amqp://{host}")).ok()?;
    // In Kubernetes it is an address, where a Service is called rabbitmq: `tcp://10.0.0.7:5672`.
    let port = port.rsplit_once(':').map_or(port, |(_, port)| port);
    url.set_port(Some(port.parse().ok()?)).ok()?;
    url.set_username(user).ok()?;
    url.set_password(Some(password)).ok()?;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Vec<(String, String)>, Vec<Fault>) {
        let environment = variables.iter().copied().collect();
        let mut faults = Vec::new();
        let given = given(&environment, &mut faults);
        let pair = |given: Given| (given.name, given.value.as_str().unwrap().to_owned());
        (given.into_iter().map(pair).collect(), faults)
    }

    #[test]
    fn the_services_are_found_by_the_first_systems_names() {
        let hosts = "mongodb://mongo1:30001,mongo2:30002/?replicaSet=my-replica-set";
        let (given, faults) = read(&[
            ("MONGO_DATABASE_HOST", hosts),
            ("MONGO_DATABASE_NAME", "twin"),
            ("RABBITMQ_HOST", "mq"),
            ("RABBITMQ_PORT", "5673"),
            ("RABBITMQ_DEFAULT_PASSWORD", "a/b@c"),
            ("QDRANT_DATABASE_HOST", "qdrant"),
            ("QDRANT_DATABASE_PORT", "6333"),
            ("QDRANT_CLOUD_URL", "str"),
        ]);
        let expected = [
            ("source.url", hosts),
            ("source.database", "twin"),
            ("queue.url", "amqp://guest:a%2Fb%40c@mq:5673"),
            ("vector.url", "http://qdrant:6334"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((given, faults), (expected.to_vec(), Vec::new()));
    }

    #[test]
    fn the_cloud_is_asked_only_where_that_is_said() {
        let cloud = [
            ("QDRANT_CLOUD_URL", "https://index.example.org:6334"),
            ("QDRANT_APIKEY", "hunter2"),
            ("QDRANT_DATABASE_HOST", "qdrant"),
            ("USE_QDRANT_CLOUD", "true"),
        ];
        let names = |variables: &[_]| -> Vec<String> {
            read(variables)
                .0
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(names(&cloud), ["vector.url", "vector.api_key"]);
        assert_eq!(names(&cloud[..3]), ["vector.url"]);
    }

    #[test]
    fn the_port_of_a_kubernetes_service_is_in_its_address() {
        let port = ("RABBITMQ_PORT", "tcp://10.0.0.7:5673");
        let (given, _) = read(&[("RABBITMQ_HOST", "mq"), port]);
        assert_eq!(given[0].1, "amqp://guest:guest@mq:5673");
    }

    #[test]
    fn a_port_that_is_none_is_told() {
        let (given, faults) = read(&[("RABBITMQ_HOST", "mq"), ("RABBITMQ_PORT", "x")]);
        assert!(given.is_empty());
        let told = faults[0].to_string();
        assert!(
            told.contains("RABBITMQ_HOST") && told.contains("\"x\""),
            "{told}"
        );
    }
}
