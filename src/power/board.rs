//! Boards whose rails are known: an embedded table (`boards.toml`).

use super::error::PowerError;
use super::files::Root;
use serde::Deserialize;
use std::sync::LazyLock;

/// A board and the rails that add up to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Name, as `--board` takes it.
    pub name: String,
    /// Parts of the device tree's `compatible` strings that only this board has.
    pub compatible: Vec<String>,
    /// Parts of the device tree's `model`.
    pub model: Vec<String>,
    /// Labels of the rails that add up to the whole board.
    pub rails: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    board: Vec<Board>,
}

/// Every known board. Empty only if the embedded table were broken, which a test
/// rules out.
#[must_use]
pub fn boards() -> &'static [Board] {
    static BOARDS: LazyLock<Vec<Board>> = LazyLock::new(|| {
        let table: Result<Table, _> = toml::from_str(include_str!("boards.toml"));
        table.map(|table| table.board).unwrap_or_default()
    });
    &BOARDS
}

/// The board that is called `name`.
///
/// # Errors
/// When nobody knows it.
pub(super) fn named(name: &str) -> Result<&'static Board, PowerError> {
    let known = || boards().iter().map(|board| board.name.as_str());
    let found = boards().iter().find(|board| board.name == name);
    found.ok_or_else(|| PowerError::NoBoard {
        name: name.to_owned(),
        known: known().collect::<Vec<_>>().join(", "),
    })
}

/// The board that the device tree below `root` describes: by its `compatible`
/// strings, else by its model.
#[must_use]
pub fn detect(root: &Root) -> Option<&'static Board> {
    let read = |file| root.text(&format!("proc/device-tree/{file}"));
    let (compatible, model) = (read("compatible"), read("model"));
    let holds = |text: &Option<String>, parts: &[String]| {
        let text = text.as_deref().unwrap_or_default();
        parts.iter().any(|part| text.contains(part.as_str()))
    };
    boards()
        .iter()
        .find(|board| holds(&compatible, &board.compatible))
        .or_else(|| boards().iter().find(|b| holds(&model, &b.model)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_six_boards_and_no_rail_twice() {
        let names: Vec<_> = boards().iter().map(|board| board.name.as_str()).collect();
        let wanted = [
            "nano",
            "tx2",
            "xavier-nx",
            "agx-xavier",
            "orin-nano",
            "agx-orin",
        ];
        assert_eq!(names, wanted);
        for board in boards() {
            let mut rails = board.rails.clone();
            rails.sort();
            rails.dedup();
            assert_eq!(rails.len(), board.rails.len(), "{}", board.name);
        }
        assert!(
            !boards()[5]
                .rails
                .iter()
                .any(|rail| rail.starts_with("VDDQ"))
        );
    }

    fn detected(compatible: &str, model: &str) -> Option<&'static str> {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("proc/device-tree");
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("compatible"), compatible).unwrap();
        std::fs::write(tree.join("model"), model).unwrap();
        detect(&Root::new(folder.path())).map(|board| board.name.as_str())
    }

    #[test]
    fn boards_are_known_by_module_and_by_model() {
        let of = |compatible: &str| detected(compatible, "");
        assert_eq!(of("nvidia,p3450-0000\0nvidia,tegra210\0"), Some("nano"));
        assert_eq!(
            of("nvidia,p3449-0000-b00+p3448-0000-b00\0nvidia,tegra210\0"),
            Some("nano")
        );
        assert_eq!(of("nvidia,p2771-0000\0nvidia,tegra186\0"), Some("tx2"));
        assert_eq!(
            of("nvidia,p3509-0000+p3668-0001\0nvidia,tegra194\0"),
            Some("xavier-nx")
        );
        assert_eq!(
            of("nvidia,p2972-0000\0nvidia,tegra194\0"),
            Some("agx-xavier")
        );
        assert_eq!(
            of("nvidia,p3768-0000+p3767-0005-super\0nvidia,tegra234\0"),
            Some("orin-nano")
        );
        assert_eq!(
            of("nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0"),
            Some("agx-orin")
        );
        let by_model = |model: &str| detected("nvidia,other\0", model);
        assert_eq!(by_model("NVIDIA Jetson Nano Developer Kit\0"), Some("nano"));
        assert_eq!(
            by_model("NVIDIA Jetson Orin Nano Developer Kit\0"),
            Some("orin-nano")
        );
        assert_eq!(by_model("Jetson-AGX\0"), Some("agx-xavier"));
        assert_eq!(by_model("Raspberry Pi 5\0"), None);
    }
}
