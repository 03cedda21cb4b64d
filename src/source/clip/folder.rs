//! Which files of a path are clips, and how they are labelled.
//!
//! A folder holds clips, with their classes in `labels.csv` beside them; or one
//! folder per class with clips at any depth in it, as the forge trains on, and
//! then each folder's name is the class of its clips. A `labels.csv` beside the
//! folders is used in place of their names; it names files as `folder/file`.
//! Where clips lie beside folders, the clips count and the folders do not.
//! Hidden files and folders are passed over without a word, everything else that
//! is passed over and might have been meant is said.

use super::companions::is_companion;
use super::labels;
use crate::source::SourceError;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Names of standard input.
const STANDARD_INPUT: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// What stands behind a name of standard input: the file that it was redirected
/// from, which can be sought in and handed to a child; else, for a pipe, its own
/// path. Every other path stays as it is.
pub(super) fn standard_input(path: &Path) -> Cow<'_, Path> {
    if !STANDARD_INPUT.iter().any(|name| path == Path::new(name)) {
        return path.into();
    }
    let own = Path::new("/proc/self/fd/0");
    let file = fs::read_link(own).ok().filter(|file| {
        let ids = |path: &Path| {
            fs::metadata(path)
                .ok()
                .map(|m| (m.is_file(), m.dev(), m.ino()))
        };
        ids(own).is_some_and(|id| id.0 && ids(file) == Some(id))
    });
    file.map_or(Path::new("/dev/stdin").into(), Cow::Owned)
}

/// One clip of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clip {
    pub(super) path: PathBuf,
    pub(super) label: Option<u16>,
    /// Labels of its frames, where a table gives each its own.
    pub(super) frames: Option<Vec<Option<u16>>>,
}

impl Clip {
    /// Label of its frame `number`.
    pub(super) fn label_of(&self, number: u64) -> Option<u16> {
        match &self.frames {
            Some(frames) => *frames.get(usize::try_from(number).ok()?)?,
            None => self.label,
        }
    }
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

/// A file that counts as a clip.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    /// As `labels.csv` names it.
    name: String,
    /// The folder that gives it its class.
    class: Option<String>,
}

/// What a folder holds.
#[derive(Debug, Default)]
struct Contents {
    clips: Vec<Found>,
    /// Folders that were passed over, and what is neither file nor folder.
    folders: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

/// Lists `path`: the file itself, or the clips of a folder by name. Labels come
/// from `labels.csv` or from folders, and index `classes` unless that is empty.
pub(super) fn list(path: &Path, classes: &[String]) -> Result<Listing, SourceError> {
    let io = |source| SourceError::Io {
        path: path.into(),
        source,
    };
    if !fs::metadata(path).map_err(io)?.is_dir() {
        return with_frames(single(path, classes), classes);
    }
    let contents = contents(path).map_err(io)?;
    if contents.clips.is_empty() {
        return Err(SourceError::Undecodable {
            path: path.into(),
            reason: "there is no clip in the folder, nor in folders in it".into(),
        });
    }
    let table = path.join("labels.csv");
    let rows = match table.is_file() {
        true => Some(labels::read(&table)?),
        false => None,
    };
    let strange = rows
        .as_ref()
        .and_then(|rows| strangers(&contents.clips, rows, &table));
    let passed_over = passed_over(path, &contents);
    let labelled = by_table_or_folder(contents.clips, rows.as_ref());
    let from = rows.map_or_else(|| path.to_owned(), |_| table);
    let mut listing = join(labelled, classes, &from);
    listing.warnings.extend(strange);
    listing.warnings.extend(passed_over);
    with_frames(listing, classes)
}

/// Gives each clip the labels of its frames, where a table beside it has them.
fn with_frames(mut listing: Listing, classes: &[String]) -> Result<Listing, SourceError> {
    for clip in &mut listing.clips {
        let Some(named) = labels::of_frames(&clip.path)? else {
            continue;
        };
        if listing.labels.is_empty() {
            listing.labels = classes.to_vec();
        }
        let labels = &mut listing.labels;
        let mut index = |class: String| {
            let known = labels.iter().position(|label| *label == class);
            let at = known.or_else(|| {
                // Only where the model does not say what there is.
                classes.is_empty().then(|| labels.push(class))?;
                labels.len().checked_sub(1)
            });
            at.and_then(|at| u16::try_from(at).ok())
        };
        clip.frames = Some(named.into_iter().map(&mut index).collect());
    }
    Ok(listing)
}

/// Every file that a source of `path` reads, as far as it can be listed.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    let path = &standard_input(path);
    // A folder that cannot be read is the source's to complain about.
    let Ok(contents) = contents(path) else {
        return vec![path.to_path_buf()];
    };
    let clips = contents.clips.into_iter().flat_map(|clip| {
        let table = Some(labels::table_of_frames(&clip.path)).filter(|table| table.is_file());
        [clip.path].into_iter().chain(table)
    });
    clips.chain([path.join("labels.csv")]).collect()
}

/// Each clip with its class.
fn by_table_or_folder(
    clips: Vec<Found>,
    rows: Option<&BTreeMap<String, String>>,
) -> Vec<(PathBuf, Option<String>)> {
    let class = |clip: Found| {
        let class = match rows {
            Some(rows) => rows.get(&clip.name).cloned(),
            None => clip.class,
        };
        (clip.path, class)
    };
    clips.into_iter().map(class).collect()
}

/// What to say of the rows that name no clip of the folder, if there are any.
fn strangers(clips: &[Found], rows: &BTreeMap<String, String>, table: &Path) -> Option<String> {
    let names: BTreeSet<_> = clips.iter().map(|clip| clip.name.as_str()).collect();
    let mut strange = rows.keys().filter(|name| !names.contains(name.as_str()));
    let first = strange.next()?;
    Some(format!(
        "{}: {} of {} rows name no clip of the folder, the first of them {first}",
        table.display(),
        strange.count() + 1,
        rows.len()
    ))
}

/// What to say of what might have been meant and is not played.
fn passed_over(path: &Path, contents: &Contents) -> Vec<String> {
    let told = |found: &[PathBuf], alone: &str, what: &str| {
        let first = found.first()?.strip_prefix(path).ok()?;
        let (path, first) = (path.display(), first.display());
        Some(match found.len() {
            1 => format!("{path}: {first} {alone}"),
            n => format!("{path}: {n} {what}, the first of them {first}"),
        })
    };
    [
        told(
            &contents.folders,
            "is a folder beside the clips and is passed over",
            "folders beside the clips are passed over",
        ),
        told(
            &contents.others,
            "is a broken link or no file and is passed over",
            "entries are broken links or no files and are passed over",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A clip by itself plays even when the table beside it is not for us.
fn single(path: &Path, classes: &[String]) -> Listing {
    let table = path.with_file_name("labels.csv");
    let rows = table.is_file().then(|| labels::read(&table));
    let (rows, warning) = match rows.transpose() {
        Ok(rows) => (rows.unwrap_or_default(), None),
        Err(error) => (BTreeMap::new(), Some(error.to_string())),
    };
    let clip = Found {
        path: path.into(),
        name: path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        class: None,
    };
    let mut listing = join(by_table_or_folder(vec![clip], Some(&rows)), classes, &table);
    listing.warnings.extend(warning);
    listing
}

/// The clips of a folder, or else those of the folders in it.
fn contents(path: &Path) -> std::io::Result<Contents> {
    let mut contents = Contents::default();
    let top = scan(path, &mut contents.others)?;
    contents.folders = top.folders;
    contents.clips = top
        .files
        .into_iter()
        .map(|file| found(path, file))
        .collect();
    if contents.clips.is_empty() {
        let mut seen = BTreeSet::new();
        for folder in std::mem::take(&mut contents.folders) {
            let class = folder.file_name().map(|n| n.to_string_lossy().into_owned());
            let first = contents.clips.len();
            descend(path, &folder, &mut seen, &mut contents)?;
            for clip in &mut contents.clips[first..] {
                clip.class.clone_from(&class);
            }
        }
    }
    Ok(contents)
}

/// Adds the clips at any depth of `folder`, which links may lead to only once.
fn descend(
    root: &Path,
    folder: &Path,
    seen: &mut BTreeSet<(u64, u64)>,
    contents: &mut Contents,
) -> std::io::Result<()> {
    let meta = fs::metadata(folder)?;
    if !seen.insert((meta.dev(), meta.ino())) {
        return Ok(());
    }
    let level = scan(folder, &mut contents.others)?;
    let files = level.files.into_iter().map(|file| found(root, file));
    contents.clips.extend(files);
    for inner in level.folders {
        descend(root, &inner, seen, contents)?;
    }
    Ok(())
}

fn found(root: &Path, path: PathBuf) -> Found {
    let name = path.strip_prefix(root).unwrap_or(&path);
    Found {
        name: name.to_string_lossy().into_owned(),
        class: None,
        path,
    }
}

/// One folder's clips and folders, by name.
struct Level {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

fn scan(path: &Path, others: &mut Vec<PathBuf>) -> std::io::Result<Level> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        if is_companion(&entry) {
            continue;
        }
        match fs::metadata(&entry) {
            Ok(found) if found.is_file() => files.push(entry),
            Ok(found) if found.is_dir() => folders.push(entry),
            _ => others.push(entry),
        }
    }
    files.sort();
    folders.sort();
    others.sort();
    Ok(Level { files, folders })
}

/// Gives each clip the label of its class; `from` is what told the classes.
fn join(clips: Vec<(PathBuf, Option<String>)>, classes: &[String], from: &Path) -> Listing {
    let mut labels = classes.to_vec();
    if labels.is_empty() {
        let named: BTreeSet<_> = clips
            .iter()
            .filter_map(|(_, class)| class.clone())
            .collect();
        labels = named.into_iter().collect();
    }
    let (mut unknown, mut bare) = (BTreeSet::new(), 0);
    let clips: Vec<_> = clips
        .into_iter()
        .map(|(path, class)| {
            let index = class
                .as_ref()
                .and_then(|class| labels.iter().position(|label| label == class));
            match class {
                None => bare += 1,
                Some(class) if index.is_none() => drop(unknown.insert(class)),
                Some(_) => {}
            }
            Clip {
                path,
                label: index.and_then(|i| u16::try_from(i).ok()),
                frames: None,
            }
        })
        .collect();
    let mut warnings = Vec::new();
    if !unknown.is_empty() {
        warnings.push(format!(
            "{}: clips of the classes {} count as unlabelled, because the model does not know them",
            from.display(),
            unknown.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    if bare > 0 && bare < clips.len() {
        let (from, of) = (from.display(), clips.len());
        warnings.push(format!(
            "{from}: {bare} of {of} clips have no row and count as unlabelled"
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
            "Thumbs.db",
            "desktop.ini",
            ".DS_Store",
        ] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::create_dir(dir.path().join("nested")).unwrap();
        fs::write(dir.path().join("nested/d.mp4"), "x").unwrap();
        let listing = list(dir.path(), &[]).unwrap();
        assert_eq!(names(&listing), ["a.y4m", "b.mp4", "c"]);
        assert!(listing.labels.is_empty());
        let [warning] = &listing.warnings[..] else {
            panic!("{:?}", listing.warnings)
        };
        assert!(
            warning.ends_with("nested is a folder beside the clips and is passed over"),
            "{warning}"
        );
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
    fn a_folder_of_folders_is_labelled_by_their_names_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["run/deep", "walk", "none", ".git/objects"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for file in [
            "walk/b.y4m",
            "run/deep/a.y4m",
            "run/c.mkv",
            "run/notes.txt",
            ".git/objects/1",
            "groups.csv",
        ] {
            fs::write(at(file), "x").unwrap();
        }
        std::os::unix::fs::symlink(at("run"), at("run/again")).unwrap();
        let listing = list(dir.path(), &["walk".into(), "run".into()]).unwrap();
        assert_eq!(names(&listing), ["c.mkv", "a.y4m", "b.y4m"]);
        let labels: Vec<_> = listing.clips.iter().map(|clip| clip.label).collect();
        assert_eq!(labels, [Some(1), Some(1), Some(0)]);
        assert!(listing.warnings.is_empty(), "{:?}", listing.warnings);
        let unknown = list(dir.path(), &["walk".into()]).unwrap();
        assert!(unknown.warnings[0].contains("classes run count as unlabelled"));
        fs::write(at("labels.csv"), "file,class\nrun/deep/a.y4m,walk\n").unwrap();
        let table = list(dir.path(), &["walk".into(), "run".into()]).unwrap();
        let labels: Vec<_> = table.clips.iter().map(|clip| clip.label).collect();
        assert_eq!(labels, [None, Some(0), None]);
        assert_eq!(files(dir.path()).len(), 4);
    }

    #[test]
    fn broken_links_and_pipes_in_a_folder_are_said() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.y4m"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("b.y4m")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("c.y4m"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let listing = list(dir.path(), &[]).unwrap();
        assert_eq!(names(&listing), ["a.y4m"]);
        let [warning] = &listing.warnings[..] else {
            panic!("{:?}", listing.warnings)
        };
        assert!(
            warning.contains("2 entries") && warning.contains("b.y4m"),
            "{warning}"
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
