//! `labels.csv`: the class of each clip; and the table beside a clip, with the
//! ending `frames.csv` in place of the clip's, that gives each frame its own
//! (columns `frame`, counted from 0, and `class`).
//!
//! Comma-separated values with a header that has the columns `file` and
//! `class`, in any order, among any others (`e4 clips` adds `difficulty`);
//! fields may be quoted, lines may end in CRLF, blank lines are passed over.

use crate::source::SourceError;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads the table: class by file name.
///
/// # Errors
/// One sentence that names the file and the line.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, SourceError> {
    parse(&text_of(path)?).map_err(|reason| SourceError::Undecodable {
        path: path.into(),
        reason,
    })
}

/// The text of a table without a byte order mark.
fn text_of(path: &Path) -> Result<String, SourceError> {
    let bytes = fs::read(path).map_err(|source| SourceError::Io {
        path: path.into(),
        source,
    })?;
    let text = String::from_utf8(bytes).map_err(|_| SourceError::Undecodable {
        path: path.into(),
        reason: "is not UTF-8 text".into(),
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(bare) => bare.to_owned(),
        None => text,
    })
}

/// The table beside `clip` that gives a class to each of its frames.
pub(super) fn table_of_frames(clip: &Path) -> PathBuf {
    clip.with_extension("frames.csv")
}

/// The class of each frame of `clip`, by its number; `None` where there is no
/// table beside it.
///
/// # Errors
/// One sentence that names the table and the line.
pub(super) fn of_frames(clip: &Path) -> Result<Option<Vec<String>>, SourceError> {
    let path = table_of_frames(clip);
    if !path.is_file() {
        return Ok(None);
    }
    let rows = parse_frames(&text_of(&path)?);
    rows.map(Some)
        .map_err(|reason| SourceError::Undecodable { path, reason })
}

fn parse_frames(text: &str) -> Result<Vec<String>, String> {
    let mut classes = Vec::new();
    for row in pairs(text, "frame", "frame,class,cut,change")? {
        let (line, frame, class) = row?;
        if frame.parse() != Ok(classes.len()) {
            let due = classes.len();
            return Err(format!("line {line} has frame {frame} where {due} is due"));
        }
        classes.push(class);
    }
    Ok(classes)
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut classes = BTreeMap::new();
    for row in pairs(text, "file", "file,class,difficulty")? {
        let (line, file, class) = row?;
        let file = file.strip_prefix("./").unwrap_or(&file);
        let before = classes.insert(file.to_owned(), class.clone());
        if before.is_some_and(|before| before != class) {
            return Err(format!("line {line} gives {file} a second class"));
        }
    }
    Ok(classes)
}

/// Line, key and class of a row.
type Pair = Result<(usize, String, String), String>;

/// Each row's `key` and class; `header` is how the first line should read.
fn pairs(text: &str, key: &str, header: &str) -> Result<Vec<Pair>, String> {
    let mut rows = records(text).into_iter();
    let first = rows.next().transpose()?;
    let (line, names) =
        first.ok_or_else(|| format!("is empty; its first line should be {header}"))?;
    let column = |name: &str| {
        let found = names
            .iter()
            .position(|n| n.trim().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            format!("line {line} is no header with a column {name}; it should be {header}")
        })
    };
    let (at, class) = (column(key)?, column("class")?);
    let pair = |row: Result<Record, String>| {
        let (line, fields) = row?;
        let (Some(found), Some(class)) = (fields.get(at), fields.get(class)) else {
            let (has, needs) = (fields.len(), names.len());
            return Err(format!("line {line} has {has} of {needs} fields"));
        };
        let (found, class) = (found.trim(), class.trim());
        if found.is_empty() || class.is_empty() {
            return Err(format!("line {line} has an empty {key} or class"));
        }
        Ok((line, found.to_owned(), class.to_owned()))
    };
    Ok(rows.map(pair).collect())
}

type Record = (usize, Vec<String>);

/// Splits into records, each with the number of its first line.
fn records(text: &str) -> Vec<Result<Record, String>> {
    let mut records = Vec::new();
    let (mut line, mut first) = (1, 1);
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        line += usize::from(c == '\n');
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.trim().is_empty() => {
                if !quoted {
                    field.clear();
                }
                quoted = !quoted;
            }
            _ if quoted => field.push(c),
            ',' => fields.push(std::mem::take(&mut field)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                fields.push(std::mem::take(&mut field));
                let record = std::mem::take(&mut fields);
                if record.iter().any(|f| !f.trim().is_empty()) {
                    records.push(Ok((first, record)));
                }
                first = line;
            }
            _ => field.push(c),
        }
    }
    fields.push(field);
    if quoted {
        records.push(Err(format!("line {first} has a quote that does not end")));
    } else if fields.iter().any(|f| !f.trim().is_empty()) {
        records.push(Ok((first, fields)));
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_quoted_and_crlf_tables_read_alike() {
        for text in [
            "file,class,difficulty\na.y4m,walk,0.5\nb,c.y4m,run\n".replace("b,c", "\"b,c\""),
            "\"file\",\"class\"\r\n\"a.y4m\",\"walk\"\r\n\r\n\"b,c.y4m\",run".into(),
            "difficulty, Class ,FILE\n0.5,walk,a.y4m\n,run,\"b,c.y4m\"\n".into(),
        ] {
            let rows = parse(&text).unwrap();
            assert_eq!(rows.len(), 2, "{text}");
            assert_eq!((&*rows["a.y4m"], &*rows["b,c.y4m"]), ("walk", "run"));
        }
        assert_eq!(&*parse("file,class\n\"a\"\"b\",x").unwrap()["a\"b"], "x");
    }

    #[test]
    fn a_table_that_is_none_is_refused_with_its_line() {
        for (text, part) in [
            ("", "empty"),
            ("a.y4m,walk,0.5\n", "line 1"),
            ("file,difficulty\na,1\n", "column class"),
            ("file,class\na,x\n\nb\n", "line 4"),
            ("file,class\na,x\n,y\n", "line 3"),
            ("file,class\na,x\na,y\n", "second class"),
            ("file,class\n\"a,x\n", "line 2 has a quote"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn frames_have_classes_in_their_order_or_the_table_is_refused() {
        let text = "frame,class,cut,change\n0,walk,1,1\n1,run,0,1\n";
        assert_eq!(parse_frames(text).unwrap(), ["walk", "run"]);
        let error = parse_frames("frame,class\n0,walk\n2,run\n").unwrap_err();
        assert_eq!(error, "line 3 has frame 2 where 1 is due");
        assert!(parse_frames("file,class\n").is_err());
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.csv");
        fs::write(&path, [0xFF, 0xFE]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("labels.csv") && error.contains("UTF-8"),
            "{error}"
        );
    }
}
