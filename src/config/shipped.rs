//! Where the files that ship with e4 are.

use std::path::{Path, PathBuf};

/// Finds `relative` beside the executable (or in `../share/e4` from there), in
/// the source tree that the executable was built from, or in the current folder:
/// the first place that has it.
#[must_use]
pub fn shipped(relative: &Path) -> Option<PathBuf> {
    let executable = std::env::current_exe().ok();
    let beside = executable.as_deref().and_then(Path::parent);
    let places = [
        beside.map(Path::to_owned),
        beside.map(|folder| folder.join("../share/e4")),
        Some(env!("CARGO_MANIFEST_DIR").into()),
        Some(PathBuf::new()),
    ];
    first_with(relative, places.into_iter().flatten())
}

fn first_with(relative: &Path, places: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    places
        .map(|place| place.join(relative))
        .find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_has_it_wins() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let places = || [first.path().to_owned(), second.path().to_owned()].into_iter();
        let wanted = Path::new("engines");
        assert_eq!(first_with(wanted, places()), None);
        std::fs::create_dir(second.path().join(wanted)).unwrap();
        assert_eq!(
            first_with(wanted, places()),
            Some(second.path().join(wanted))
        );
        std::fs::create_dir(first.path().join(wanted)).unwrap();
        assert_eq!(
            first_with(wanted, places()),
            Some(first.path().join(wanted))
        );
    }

    #[test]
    fn the_source_tree_is_one_of_the_places() {
        assert!(shipped(Path::new("engines")).is_some());
        assert_eq!(shipped(Path::new("engines/no-such-bundle")), None);
    }
}
