//! Which files of a path are clips, and how they are labelled.

use super::labels;
use crate::source::SourceError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Endings of files that lie beside clips and are none.
const COMPANIONS: [&str; 10] = [
    "csv", "txt", "md", "json", "toml", "yaml", "yml", "html", "pdf", "srt",
];
/// Names, without ending, of files that lie beside clips.
const NOTES: [&str; 5] = ["readme", "license", "licence", "sha256sums", "md5sums"];

/// One clip of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clip {
    pub(super) path: PathBuf,
    pub(super) label: Option<u16>,
}

/// The clips of a path.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) clips: Vec<Clip>,
    /// Names of the classes that labels index; empty when unlabelled.
    pub(super) labels: Vec<String>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// Lists `path`: the file itself, or the clips of a folder by name. Labels come
/// from `labels.csv` beside the clips, and index `classes` unless that is empty.
pub(super) fn list(path: &Path, classes: &[String]) -> Result<Listing, SourceError> {
    let io = |source| SourceError::Io {
        path: path.into(),
        source,
    };
    if !fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(single(path, classes));
    }
    let paths = folder(path).map_err(io)?;
    if paths.is_empty() {
        return Err(SourceError::Undecodable {
            path: path.into(),
            reason: "there is no clip in the folder".into(),
        });
    }
    let table = path.join("labels.csv");
    let rows = if table.is_file() {
        labels::read(&table)?
    } else {
        BTreeMap::new()
    };
    let mut listing = join(paths, &rows, classes, &table);
    listing
        .warnings
        .extend(strangers(&listing.clips, &rows, &table));
    Ok(listing)
}

/// What to say of the rows that name no clip of the folder, if there are any.
fn strangers(clips: &[Clip], rows: &BTreeMap<String, String>, table: &Path) -> Option<String> {
    let names: BTreeSet<_> = clips
        .iter()
        .filter_map(|clip| Some(clip.path.file_name()?.to_string_lossy()))
        .collect();
    let mut strange = rows.keys().filter(|name| !names.contains(name.as_str()));
    let first = strange.next()?;
    Some(format!(
        "{}: {} of {} rows name no clip of the folder, the first of them {first}",
        table.display(),
        strange.count() + 1,
        rows.len()
    ))
}

/// A clip by itself plays even when the table beside it is not for us.
fn single(path: &Path, classes: &[String]) -> Listing {
    let table = path.with_file_name("labels.csv");
    let rows = table.is_file().then(|| labels::read(&table));
    let (rows, warning) = match rows.transpose() {
        Ok(rows) => (rows.unwrap_or_default(), None),
        Err(error) => (BTreeMap::new(), Some(error.to_string())),
    };
    let mut listing = join(vec![path.into()], &rows, classes, &table);
    listing.warnings.extend(warning);
    listing
}

fn folder(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        if entry.is_file() && !is_companion(&entry) {
            paths.push(entry);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_companion(path: &Path) -> bool {
    let lower = |part: Option<&std::ffi::OsStr>| {
        part.map(|p| p.to_string_lossy().to_lowercase())
            .unwrap_or_default()
    };
    lower(path.file_name()).starts_with('.')
        || COMPANIONS.contains(&lower(path.extension()).as_str())
        || NOTES.contains(&lower(path.file_stem()).as_str())
}

/// Gives each clip the label of its row.
fn join(
    paths: Vec<PathBuf>,
    rows: &BTreeMap<String, String>,
    classes: &[String],
    table: &Path,
) -> Listing {
    let row = |path: &Path| rows.get(path.file_name()?.to_string_lossy().as_ref());
    let mut labels = classes.to_vec();
    if labels.is_empty() {
        let named: BTreeSet<_> = paths.iter().filter_map(|p| row(p)).collect();
        labels = named.into_iter().cloned().collect();
    }
    let (mut unknown, mut bare) = (Vec::new(), 0);
    let clips: Vec<_> = paths
        .iter()
        .map(|path| {
            let class = row(path);
            let index = class.and_then(|c| labels.iter().position(|l| l == c));
            match class {
                None => bare += 1,
                Some(class) if index.is_none() && !unknown.contains(class) => {
                    unknown.push(class.clone());
                }
                Some(_) => {}
            }
            Clip {
                path: path.clone(),
                label: index.and_then(|i| u16::try_from(i).ok()),
            }
        })
        .collect();
    let mut warnings = Vec::new();
    if !unknown.is_empty() {
        warnings.push(format!(
            "{}: clips of the classes {} count as unlabelled, because the model does not know them",
            table.display(),
            unknown.join(", ")
        ));
    }
    if bare > 0 && bare < clips.len() {
        let (table, of) = (table.display(), clips.len());
        warnings.push(format!(
            "{table}: {bare} of {of} clips have no row and count as unlabelled"
        ));
    }
    if clips.iter().all(|clip| clip.label.is_none()) {
        labels.clear();
    }
    Listing {
        clips,
        labels,
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listing: &Listing) -> Vec<String> {
        let name = |c: &Clip| c.path.file_name().unwrap().to_string_lossy().into_owned();
        listing.clips.iter().map(name).collect()
    }

    #[test]
    fn a_folder_lists_its_clips_by_name_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.mp4",
            "a.y4m",
            "c",
            "README",
            "Readme.md",
            ".hidden",
            "x.CSV",
            "LICENSE",
            "n.txt",
        ] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::create_dir(dir.path().join("nested")).unwrap();
        fs::write(dir.path().join("nested/d.mp4"), "x").unwrap();
        let listing = list(dir.path(), &[]).unwrap();
        assert_eq!(names(&listing), ["a.y4m", "b.mp4", "c"]);
        assert!(listing.labels.is_empty() && listing.warnings.is_empty());
    }

    #[test]
    fn labels_index_the_given_classes_or_the_sorted_ones_of_the_table() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["1.y4m", "2.y4m", "3.y4m"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let table = dir.path().join("labels.csv");
        fs::write(&table, "file,class,difficulty\n1.y4m,walk,0\n2.y4m,run,1\n").unwrap();
        let labels = |l: &Listing| l.clips.iter().map(|c| c.label).collect::<Vec<_>>();
        let own = list(dir.path(), &[]).unwrap();
        assert_eq!(own.labels, ["run", "walk"]);
        assert_eq!(labels(&own), [Some(1), Some(0), None]);
        assert_eq!(own.warnings.len(), 1, "{:?}", own.warnings);
        let given = ["sit".to_string(), "walk".to_string()];
        let given = list(dir.path(), &given).unwrap();
        assert_eq!(labels(&given), [Some(1), None, None]);
        assert!(given.warnings[0].contains("run"), "{:?}", given.warnings);
        let single = list(&dir.path().join("2.y4m"), &[]).unwrap();
        assert_eq!(
            (single.labels, single.clips[0].label),
            (vec!["run".into()], Some(0))
        );
    }

    #[test]
    fn an_empty_folder_and_a_missing_path_are_errors_that_name_them() {
        let dir = tempfile::tempdir().unwrap();
        let error = list(dir.path(), &[]).unwrap_err();
        assert!(matches!(error, SourceError::Undecodable { .. }));
        let missing = dir.path().join("nowhere");
        let error = list(&missing, &[]).unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
    }
}
