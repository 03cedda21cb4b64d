//! What `ffmpeg` says on standard error, made into half a sentence of ours.
//!
//! Guarantees: however much it says, three lines are held. An `[error]` counts
//! as damage whatever the exit status; a `[warning]` only where it tells that the
//! data broke off.

use super::child::Outcome;
use std::os::unix::process::ExitStatusExt;

/// How a reason begins that is made of the child's own words.
pub(super) const SAYS: &str = "ffmpeg says: ";

/// Words for a file without a picture; what follows them is about our command
/// line, which is not the user's.
const NO_VIDEO: &str = "matches no streams";

/// Words for a form that is not among the [allowed](super::formats) ones.
const NOT_ALLOWED: &str = "Format not on whitelist";

/// Words that mean that the file broke off, however the child ended.
const CUT_SHORT: [&str; 4] = ["partial file", "prematurely", "corrupt", "truncat"];

/// Words about the seam of two recordings in one file: the last packet ahead of
/// it counts as corrupt, and the times start anew.
const SEAM: [&str; 3] = ["packet corrupt", "corrupt input packet", "non-monoton"];

/// Words about times that do not rise.
const NOT_RISING: &str = "non-monoton";

/// Index of the last line that is no warning, of the first hint that the data
/// broke off, and of the first error.
const LAST: usize = 0;
const CUT: usize = 1;
const ERROR: usize = 2;

/// Keeps a line, if it is one of the three.
pub(super) fn keep(kept: &mut Vec<String>, line: &str) {
    let explains_all = |last: &String| last.contains(NO_VIDEO) || last.contains(NOT_ALLOWED);
    if line.is_empty() || kept.first().is_some_and(explains_all) {
        return;
    }
    kept.resize(3, String::new());
    if !line.contains("[warning]") {
        line.clone_into(&mut kept[LAST]);
    }
    if kept[ERROR].is_empty()
        && ["[error]", "[fatal]", "[panic]"]
            .iter()
            .any(|l| line.contains(l))
    {
        line.clone_into(&mut kept[ERROR]);
    }
    let lower = line.to_ascii_lowercase();
    if kept[CUT].is_empty() && CUT_SHORT.iter().any(|hint| lower.contains(hint)) {
        line.clone_into(&mut kept[CUT]);
    }
}

/// The same, of a file with seams.
pub(super) fn keep_but_seams(kept: &mut Vec<String>, line: &str) {
    let lower = line.to_ascii_lowercase();
    if !SEAM.iter().any(|words| lower.contains(words)) {
        keep(kept, line);
    }
}

/// Whether the child ended on times that do not rise.
pub(super) fn ended_on_a_seam(outcome: &Outcome) -> bool {
    let error = outcome
        .words
        .get(ERROR)
        .map(|line| line.to_ascii_lowercase());
    error.is_some_and(|line| line.contains(NOT_RISING))
}

/// The line without ffmpeg's bracketed prefixes and without the file's name,
/// which our own sentence begins with.
fn plain<'a>(line: &'a str, name: &str) -> &'a str {
    let mut rest = line.trim_start();
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        rest = after.trim_start();
    }
    let bare = name.strip_prefix("file:").unwrap_or(name);
    let unnamed = rest.strip_prefix(name).or_else(|| rest.strip_prefix(bare));
    let rest = unnamed.and_then(|r| r.strip_prefix(": ")).unwrap_or(rest);
    rest.trim_end_matches('.')
}

/// What the ended child has to complain about, if anything.
pub(super) fn complaint(outcome: &Outcome, name: &str) -> Option<String> {
    let status = match &outcome.status {
        Ok(status) => status,
        Err(error) => return Some(format!("the end of ffmpeg is unknown: {error}")),
    };
    let word = |at: usize| outcome.words.get(at).filter(|w| !w.is_empty());
    if let Some(signal) = status.signal() {
        return Some(format!("ffmpeg was killed by signal {signal}"));
    }
    let words = if status.success() {
        word(CUT).or_else(|| word(ERROR))
    } else {
        // What broke off comes before what ffmpeg made of it.
        let of_all = |line: &&String| line.contains(NO_VIDEO) || line.contains(NOT_ALLOWED);
        let of_all = word(LAST).filter(of_all);
        of_all.or_else(|| word(CUT)).or_else(|| word(LAST))
    };
    match words {
        Some(line) if line.contains(NO_VIDEO) => Some("there is no video in it".into()),
        Some(line) if line.contains(NOT_ALLOWED) => {
            Some("is text or other data, and no clip".into())
        }
        Some(line) => Some(format!("{SAYS}{}", plain(line, name))),
        None if status.success() => None,
        None => Some(format!("ffmpeg failed without a word ({status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_ffmpeg_are_cut_to_what_the_sentence_needs() {
        let name = "file:/tmp/a.mp4";
        for (line, expected) in [
            (
                "[error] file:/tmp/a.mp4: Invalid data found",
                "Invalid data found",
            ),
            (
                "[mov @ 0x55] [error] moov atom not found",
                "moov atom not found",
            ),
            ("[fatal] /tmp/a.mp4: Invalid", "Invalid"),
            ("plain", "plain"),
            (
                "Packet corrupt, dropping it.",
                "Packet corrupt, dropping it",
            ),
            ("[unclosed", "[unclosed"),
        ] {
            assert_eq!(plain(line, name), expected);
        }
    }

    #[test]
    fn warnings_are_no_errors_unless_they_tell_of_a_cut() {
        let mut kept = Vec::new();
        keep(&mut kept, "[warning] deprecated pixel format");
        assert_eq!(kept, ["", "", ""]);
        keep(&mut kept, "[avi] [warning] Packet corrupt (stream = 0)");
        keep(&mut kept, "[h264] [error] first error");
        keep(&mut kept, "[error] last words");
        keep(&mut kept, "");
        assert_eq!(
            kept,
            [
                "[error] last words",
                "[avi] [warning] Packet corrupt (stream = 0)",
                "[h264] [error] first error",
            ]
        );
    }

    #[test]
    fn a_seam_is_no_damage_and_an_error_is() {
        let mut kept = Vec::new();
        keep_but_seams(&mut kept, "[mpegts] [warning] Packet corrupt (stream = 0)");
        keep_but_seams(&mut kept, "[nut] [error] Non-monotonic DTS; previous: 9");
        assert!(kept.is_empty());
        keep_but_seams(&mut kept, "[h264] [error] error while decoding MB 0 1");
        let outcome = Outcome {
            status: Ok(std::process::ExitStatus::default()),
            words: kept,
        };
        assert!(!ended_on_a_seam(&outcome));
        let said = complaint(&outcome, "file:a").unwrap();
        assert_eq!(said, "ffmpeg says: error while decoding MB 0 1");
    }
}
