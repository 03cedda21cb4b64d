//! Which rails of a known board add up to the whole: from its description.

use super::error::PowerError;
use super::files::Root;
pub use crate::board::{Description as Board, boards};

/// The board that is called `name`.
///
/// # Errors
/// When nobody knows it.
pub(super) fn named(name: &str) -> Result<&'static Board, PowerError> {
    crate::board::named(name).map_err(|unknown| PowerError::NoBoard {
        name: unknown.name,
        known: unknown.known,
    })
}

/// The board that the device tree below `root` describes: by its `compatible`
/// strings, else by its model.
#[must_use]
pub fn detect(root: &Root) -> Option<&'static Board> {
    let read = |file| root.text(&format!("proc/device-tree/{file}"));
    let text = |file| read(file).unwrap_or_default();
    crate::board::detect(&text("compatible"), &text("model"))
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
