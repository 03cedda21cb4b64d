//! A bundle: manifest, checksums, files. Format: `engines/FORMAT.md`.

/// A verified bundle directory.
#[derive(Debug)]
pub struct Bundle;
