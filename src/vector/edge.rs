//! Qdrant's own engine in process, with manifests in `SQLite`.
