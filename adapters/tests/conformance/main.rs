//! What every kind must be and do, checked alike for each and printed as a matrix; and each kind on the wire.
//! `UPDATE=1` rewrites golden files and the tables in the pages; their diff is read in review.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod guard;
mod kinds;
mod limits;
mod pages;
mod proxy;
mod stale;
mod support;
mod tls;
mod webhook;

/// Compares `made` with the file at `path` below the crate, or writes it there.
fn golden(path: &str, made: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} differs from what is made now; look at it, then UPDATE=1:\n{made}",
        path.display()
    );
}
