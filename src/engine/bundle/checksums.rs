//! `SHA256SUMS`: which files a bundle has and what each must hash to.
//!
//! It is integrity, not authenticity: whoever can write the directory can write
//! a matching list. The text is read strictly, as `sha256sum` writes it (64
//! lower-case hex digits, two spaces, the name, a newline), so that no byte of
//! the list itself can change without being noticed.

use super::BundleError;
use super::map::MappedFile;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The list's own file name.
pub const SUMS: &str = "SHA256SUMS";

/// Most bytes that the list itself may have.
const MAX_SUMS_BYTES: usize = 64 << 10;

/// Hex SHA-256 of `bytes`, lower case.
pub(super) fn hex_digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// True for a name that is one plain component: ASCII letters, digits, `.`,
/// `_`, `-`, not starting with a dot.
pub(super) fn is_plain_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Parses the list in file `path`: name to hex digest.
fn parse(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, String>, BundleError> {
    let bad = |line: usize, reason: &'static str| BundleError::Sums {
        path: path.to_owned(),
        line,
        reason,
    };
    if bytes.len() > MAX_SUMS_BYTES {
        return Err(bad(1, "the list is longer than 64 KiB"));
    }
    let Some(text) = bytes.strip_suffix(b"\n") else {
        return Err(bad(1, "the list is empty or its last line has no end"));
    };
    let mut sums = BTreeMap::new();
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        let line_number = index + 1;
        let entry = std::str::from_utf8(line)
            .ok()
            .and_then(|l| l.split_once("  "))
            .filter(|(hex, _)| {
                hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            });
        let Some((hex, name)) = entry else {
            return Err(bad(
                line_number,
                "a line is 64 lower-case hex digits, two spaces and a name",
            ));
        };
        if !is_plain_name(name) || name == SUMS {
            return Err(bad(
                line_number,
                "the name is not that of another file of the bundle",
            ));
        }
        if sums.insert(name.to_owned(), hex.to_owned()).is_some() {
            return Err(bad(line_number, "the name is listed twice"));
        }
    }
    Ok(sums)
}

/// Refuses every directory entry that is not a regular file or not listed.
fn refuse_extra(
    dir: &Path,
    entries: fs::ReadDir,
    sums: &BTreeMap<String, String>,
) -> Result<(), BundleError> {
    let io = |source| BundleError::Io {
        path: dir.to_owned(),
        source,
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        if !entry.file_type().map_err(io)?.is_file() {
            return Err(BundleError::NotAFile { path: entry.path() });
        }
        let name = entry.file_name();
        if name != SUMS && name.to_str().is_none_or(|n| !sums.contains_key(n)) {
            return Err(BundleError::Extra { path: entry.path() });
        }
    }
    Ok(())
}

/// Maps and verifies every file of `dir`. Each file is opened once: the bytes
/// that were hashed are the bytes that are handed out. Returns the files by
/// name and the digest of the list itself. Costs one pass over every byte.
///
/// # Errors
/// Names the first file that is missing, extra, changed, no regular file or
/// unreadable.
pub(super) fn verify(dir: &Path) -> Result<(BTreeMap<String, MappedFile>, String), BundleError> {
    let open = |name: &str| {
        let path = dir.join(name);
        MappedFile::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => BundleError::Missing { path },
            _ => BundleError::Io { path, source },
        })
    };
    let entries = fs::read_dir(dir).map_err(|source| BundleError::Io {
        path: dir.to_owned(),
        source,
    })?;
    let list = open(SUMS)?;
    let sums = parse(&dir.join(SUMS), list.bytes())?;
    refuse_extra(dir, entries, &sums)?;
    let mut files = BTreeMap::new();
    for (name, expected) in &sums {
        let file = open(name)?;
        if hex_digest(file.bytes()) != *expected {
            return Err(BundleError::Changed {
                path: dir.join(name),
            });
        }
        files.insert(name.clone(), file);
    }
    Ok((files, hex_digest(list.bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_that_of_sha256sum() {
        assert_eq!(
            hex_digest(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        let hex = "0".repeat(64);
        for name in ["../a", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "ü"] {
            let list = format!("{hex}  {name}\n");
            assert!(
                parse(Path::new("SHA256SUMS"), list.as_bytes()).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn only_the_exact_form_is_read() {
        let hex = "a".repeat(64);
        let path = Path::new("SHA256SUMS");
        assert!(parse(path, format!("{hex}  a\n").as_bytes()).is_ok());
        for list in [
            String::new(),
            "\n".into(),
            format!("{hex}  a"),
            format!("{hex} *a\n"),
            format!("{hex}  a\r\n"),
            format!("{hex}  a\n\n"),
            format!("{}  a\n", hex.to_uppercase()),
            format!("{hex}  a\n{hex}  a\n"),
            format!("{hex}  SHA256SUMS\n"),
        ] {
            assert!(parse(path, list.as_bytes()).is_err(), "{list:?}");
        }
        assert!(parse(path, &[0xff, 0xfe, b'\n']).is_err());
    }
}
