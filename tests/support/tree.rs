//! A tree of plain files that stands in for the kernel's: same layout, and a
//! clock that follows its upper limit at once (a link to it).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Folder of the CPU policy.
pub const CPU: &str = "sys/devices/system/cpu/cpufreq/policy0";
/// Folder of the GPU.
pub const GPU: &str = "sys/class/devfreq/17000000.gpu";
/// Folder of the memory clock.
pub const EMC: &str = "sys/kernel/debug/bpmp/debug/clk/emc";
/// Folder of the memory clock on a Nano.
pub const NANO_EMC: &str = "sys/kernel/debug/clk/override.emc";
/// Folder of the CPU's cooling device.
pub const COOLING: &str = "sys/class/thermal/cooling_device0";
/// The tree's own boot id.
pub const BOOT: &str = "proc/sys/kernel/random/boot_id";

/// A tree in a folder that vanishes with it.
#[derive(Debug)]
pub struct FakeTree {
    folder: tempfile::TempDir,
}

impl FakeTree {
    /// No domain at all.
    pub fn empty() -> Self {
        let tree = Self {
            folder: tempfile::tempdir_in("/dev/shm")
                .or_else(|_| tempfile::tempdir())
                .unwrap(),
        };
        tree.put(BOOT, "00000000-0000-4000-8000-000000000001\n");
        tree
    }

    /// CPU, GPU and memory of an Orin Nano.
    pub fn board() -> Self {
        let tree = Self::empty();
        tree.add_cpu();
        tree.add_gpu();
        tree.add_emc();
        tree
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A folder for guards that is as short-lived.
    pub fn runtime_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn put(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn get(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Makes `file` show what `target` beside it holds.
    fn follow(&self, file: &str, target: &str) {
        symlink(target, self.path(file)).unwrap();
    }

    pub fn add_cpu(&self) {
        let list = "1984000 1510400 1113600 729600\n";
        for (file, text) in [
            ("related_cpus", "0 1\n"),
            ("scaling_driver", "cpufreq-dt\n"),
            ("scaling_governor", "schedutil\n"),
            ("scaling_available_frequencies", list),
            ("cpuinfo_min_freq", "729600\n"),
            ("cpuinfo_max_freq", "1984000\n"),
            ("scaling_min_freq", "729600\n"),
            ("scaling_max_freq", "1984000\n"),
            ("scaling_cur_freq", "1984000\n"),
        ] {
            self.put(&format!("{CPU}/{file}"), text);
        }
        self.follow(&format!("{CPU}/cpuinfo_cur_freq"), "scaling_max_freq");
        self.put(&format!("{COOLING}/type"), "cpufreq-cpu0\n");
        self.put(&format!("{COOLING}/cur_state"), "0\n");
    }

    pub fn add_gpu(&self) {
        for (file, text) in [
            ("device/of_node/name", "gpu\0"),
            (
                "available_frequencies",
                "306000000 408000000 612000000 624750000\n",
            ),
            ("governor", "nvhost_podgov\n"),
            ("min_freq", "306000000\n"),
            ("max_freq", "624750000\n"),
        ] {
            self.put(&format!("{GPU}/{file}"), text);
        }
        self.follow(&format!("{GPU}/cur_freq"), "max_freq");
        fs::create_dir_all(self.path("sys/bus/platform/drivers/gk20a")).unwrap();
        self.follow(
            &format!("{GPU}/device/driver"),
            "../../../../bus/platform/drivers/gk20a",
        );
    }

    pub fn add_emc(&self) {
        for (file, text) in [
            ("possible_rates", "204000000 665600000 2133000000\n"),
            ("rate", "665600000\n"),
            ("mrq_rate_locked", "0\n"),
            ("state", "1\n"),
            ("min_rate", "204000000\n"),
            ("max_rate", "2133000000\n"),
        ] {
            self.put(&format!("{EMC}/{file}"), text);
        }
    }

    pub fn add_nano_emc(&self) {
        for (file, text) in [
            ("clk_possible_rates", "204000000 408000000 1600000000\n"),
            ("clk_rate", "1600000000\n"),
            ("clk_state", "0\n"),
        ] {
            self.put(&format!("{NANO_EMC}/{file}"), text);
        }
        self.follow(&format!("{NANO_EMC}/clk_update_rate"), "clk_rate");
    }

    /// What [`files`](Self::files) is of a board that nobody touched, as if it were
    /// below `root`.
    pub fn board_files_at(root: &Path) -> BTreeMap<PathBuf, String> {
        let board = Self::board();
        let files = board.files();
        let moved = |path: PathBuf| root.join(path.strip_prefix(board.root()).unwrap());
        files
            .into_iter()
            .map(|(path, text)| (moved(path), text))
            .collect()
    }

    /// Every file below `sys` with its text, links aside.
    pub fn files(&self) -> BTreeMap<PathBuf, String> {
        fn walk(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    walk(&entry.path(), files);
                } else if kind.is_file() {
                    let text = fs::read_to_string(entry.path()).unwrap();
                    files.insert(entry.path(), text);
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(&self.path("sys"), &mut files);
        files
    }
}
