//! Where memory comes from.
//!
//! Rebuilding an index and reading pages take memory in bursts, on several threads. The system's allocator
//! keeps most of what was let go, which grows with the index (`docs/benchmarks.md` has the figures); this
//! one gives it back, also while nothing is asked. Libraries in C, SQLite among them, stay with the
//! system's. It is the program's choice, and so no part of the library.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
