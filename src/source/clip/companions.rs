//! Which files lie beside clips and are none, by their names.

use std::path::Path;

/// Endings of files that lie beside clips and are none; the forge's.
const COMPANIONS: [&str; 63] = [
    "aac", "ans", "art", "asc", "ass", "bmp", "bz2", "csv", "db", "diz", "doc", "docx", "flac",
    "gif", "gz", "htm", "html", "ice", "idx", "ini", "jpeg", "jpg", "json", "jsonl", "log", "m3u",
    "m3u8", "m4a", "md", "mp3", "nfo", "npy", "npz", "ogg", "opus", "pdf", "png", "pt", "py",
    "rar", "rtf", "sh", "srt", "ssa", "sub", "svg", "tar", "tif", "tiff", "toml", "tsv", "txt",
    "vt", "vtt", "wav", "webp", "xlsx", "xml", "yaml", "yml", "zip", "7z", "url",
];
/// Names, without ending, of files that lie beside clips.
const NOTES: [&str; 5] = ["readme", "license", "licence", "sha256sums", "md5sums"];

/// True for a file that is no clip by its name, and for a hidden one.
pub(super) fn is_companion(path: &Path) -> bool {
    let lower = |part: Option<&std::ffi::OsStr>| {
        part.map(|p| p.to_string_lossy().to_lowercase())
            .unwrap_or_default()
    };
    lower(path.file_name()).starts_with('.')
        || COMPANIONS.contains(&lower(path.extension()).as_str())
        || NOTES.contains(&lower(path.file_stem()).as_str())
}
