//! Documents and their change log in `SQLite`.
