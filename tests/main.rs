//! Everything that is tested from outside, in one binary.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod api;
mod authors;
mod backup;
mod bad_input;
mod capture_crash;
mod collection;
mod contract {
    mod editions;
    mod embedder;
    mod logbook;
    mod queue;
    mod source;
    mod vector;
}
mod control;
mod crash;
mod crawling;
mod doctor;
mod embedding;
mod feature_crash;
mod metrics;
mod mongo_faults;
mod pipeline;
mod qdrant;
mod rabbit;
mod reindex;
mod search;
mod services;
mod simulation;
mod spine;
mod support {
    pub(crate) mod api;
    pub(crate) mod app;
    pub(crate) mod binary;
    pub(crate) mod broker;
    pub(crate) mod copy;
    pub(crate) mod edited;
    pub(crate) mod embedding;
    pub(crate) mod export;
    pub(crate) mod model;
    pub(crate) mod mongo;
    pub(crate) mod process;
    pub(crate) mod proxy;
    pub(crate) mod qdrant;
    pub(crate) mod services;
    pub(crate) mod site;
    pub(crate) mod tls;
    pub(crate) mod wire;
}
mod tutorial;
mod types;
mod wire;
