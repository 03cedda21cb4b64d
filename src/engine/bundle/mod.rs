//! A bundle: manifest, checksums, files. Format: `engines/FORMAT.md`.
//!
//! Guarantees: a [`Bundle`] exists only if every file of its directory matches
//! `SHA256SUMS`, nothing is missing or extra, the manifest is within its limits,
//! and the golden vectors have the shapes that the manifest says. Every error
//! names the file, and the field where there is one. [`Bundle::bytes`] gives the
//! very bytes whose checksum was taken.
//!
//! Non-guarantees: this is integrity, not authenticity. It says that the files
//! are those the exporter wrote, not who wrote them: a bundle from an untrusted
//! hand is untrusted code for the engine's ONNX reader. A file reopened by
//! [`Bundle::path`] may have been replaced since.
//!
//! Cost: one pass of SHA-256 over every byte at opening; files stay mapped,
//! not copied.

mod checksums;
mod golden;
mod manifest;
mod map;
mod validate;

pub use checksums::SUMS;
pub use golden::Golden;
pub use manifest::{
    CutPolicy, ExitSpec, Fit, HeadsSpec, InputSpec, Manifest, ManifestError, Precision, SCHEMA,
    SegmentSpec, Shape, StatePolicy, StateSpec, elements,
};

use map::MappedFile;
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File name of the manifest.
pub const MANIFEST: &str = "bundle.toml";
/// File name of the temporal heads' weights.
pub const GATES: &str = "gates.safetensors";
/// File name of the golden vectors.
pub const GOLDEN: &str = "golden.safetensors";
/// File name of the model card.
pub const CARD: &str = "CARD.md";

/// Most bytes that a manifest may have.
const MAX_MANIFEST_BYTES: usize = 256 << 10;

/// A verified bundle directory.
#[derive(Debug)]
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
    files: BTreeMap<String, MappedFile>,
    digest: String,
}

impl Bundle {
    /// Opens `dir`, verifies every file in it and reads the manifest.
    ///
    /// # Errors
    /// Names the first file that is missing, extra, changed or malformed, and
    /// the field or tensor that does not fit.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, BundleError> {
        let dir = dir.as_ref().to_owned();
        let (files, digest) = checksums::verify(&dir)?;
        let path = dir.join(MANIFEST);
        let text = files
            .get(MANIFEST)
            .ok_or_else(|| BundleError::Missing { path: path.clone() })?;
        let manifest =
            read_manifest(text.bytes()).map_err(|source| BundleError::Manifest { path, source })?;
        let bundle = Self {
            dir,
            manifest,
            files,
            digest,
        };
        let segments = bundle.manifest.segments.iter().map(|s| s.file.as_str());
        for name in segments.chain([GATES, GOLDEN, CARD]) {
            bundle.bytes(name)?;
        }
        bundle.golden()?;
        Ok(bundle)
    }

    /// The directory, as it was given.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The manifest, validated.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Path of file `name`, for messages and for readers that insist on a path;
    /// prefer [`bytes`](Self::bytes), which cannot have been replaced.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Content of file `name`, mapped; aligned to a page.
    ///
    /// # Errors
    /// When the bundle has no such file.
    pub fn bytes(&self, name: &str) -> Result<&[u8], BundleError> {
        self.files
            .get(name)
            .map(MappedFile::bytes)
            .ok_or_else(|| BundleError::Missing {
                path: self.path(name),
            })
    }

    /// File `name` as a map that may outlive the bundle.
    ///
    /// # Errors
    /// When the bundle has no such file.
    pub(crate) fn map(&self, name: &str) -> Result<Arc<Mmap>, BundleError> {
        self.files
            .get(name)
            .map(MappedFile::share)
            .ok_or_else(|| BundleError::Missing {
                path: self.path(name),
            })
    }

    /// The trainer's inputs and outputs, in place.
    ///
    /// # Errors
    /// When a tensor is missing or does not fit the manifest.
    pub fn golden(&self) -> Result<Golden<'_>, BundleError> {
        let bytes = self.bytes(GOLDEN)?;
        Golden::parse(bytes, &self.manifest).map_err(|(tensor, reason)| BundleError::Tensor {
            path: self.path(GOLDEN),
            tensor,
            reason,
        })
    }

    /// Identity of the bundle: hex SHA-256 of `SHA256SUMS`, which in turn names
    /// every byte of every file.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    if bytes.len() > MAX_MANIFEST_BYTES {
        let reason = format!("{} bytes, more than {MAX_MANIFEST_BYTES}", bytes.len());
        return Err(ManifestError::new("size", reason));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ManifestError::new("text", error.to_string()))?;
    Manifest::parse(text)
}

/// Why a bundle is refused. The text is one sentence that names the file.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that must be there is not.
    #[error("{path}: missing from the bundle", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is there that `SHA256SUMS` does not list.
    #[error("{path}: not listed in SHA256SUMS", path = path.display())]
    Extra {
        /// The file.
        path: PathBuf,
    },
    /// A file's content is not what `SHA256SUMS` says.
    #[error("{path}: changed, its SHA-256 is not the one in SHA256SUMS", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A directory, link or device where only regular files may be.
    #[error("{path}: not a regular file", path = path.display())]
    NotAFile {
        /// The entry.
        path: PathBuf,
    },
    /// `SHA256SUMS` itself is malformed.
    #[error("{path}: line {line}: {reason}", path = path.display())]
    Sums {
        /// The list.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The manifest cannot be.
    #[error("{path}: {source}", path = path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Field and reason.
        source: ManifestError,
    },
    /// A tensor of a safetensors file does not fit the manifest.
    #[error("{path}: {tensor}: {reason}", path = path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
