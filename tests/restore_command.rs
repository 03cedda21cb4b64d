//! `e4 restore`, and what `e4 run` does for the clocks at its start.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::clocks::{Guard, Khz, Place, Tree, discover};
use std::path::Path;
use std::process::{Command, Output};
use tree::{BOOT, CPU, FakeTree};

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
mod tree;

/// Names the tree to a process of this test that crashes.
const ROOT: &str = "E4_RESTORE_ROOT";

fn place(root: &Path) -> Place {
    Place {
        runtime_dir: root.join("run"),
        tree: Tree::new(root),
    }
}

fn pin(root: &Path) -> Guard {
    let place = place(root);
    let mut found = discover(&place.tree);
    let guard = Guard::claim(&place, &mut found.domains).unwrap();
    let cpu = found.find("cpu0").unwrap();
    cpu.set(cpu.opps().at(Khz(729_600)).unwrap());
    guard
}

#[test]
fn child_that_crashes() {
    if let Some(root) = std::env::var_os(ROOT) {
        let _guard = pin(Path::new(&root));
        std::process::abort();
    }
}

/// A board whose clocks a killed process has left changed.
fn left_behind() -> FakeTree {
    let fake = FakeTree::board();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_crashes"])
        .env(ROOT, fake.root())
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    assert_eq!(fake.get(&format!("{CPU}/scaling_max_freq")), "729600\n");
    fake
}

fn e4(words: &[&str], fake: &FakeTree) -> Output {
    Command::new(env!("CARGO_BIN_EXE_e4"))
        .args(words)
        .arg("--runtime-dir")
        .arg(fake.runtime_dir())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn clocks_that_were_left_are_given_back() {
    let fake = left_behind();
    let output = e4(&["restore"], &fake);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    assert!(
        said.contains("cpu0: given back: scaling_min_freq 729600, scaling_max_freq 1984000"),
        "{said}"
    );
    assert_eq!(fake.files(), FakeTree::board_files_at(fake.root()));
    let again = e4(&["restore"], &fake);
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(text(&again.stdout), "nothing is to be given back\n");
}

#[test]
fn json_is_one_object() {
    let fake = left_behind();
    let output = e4(&["restore", "--json"], &fake);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "e4.restore/1");
    assert_eq!(report["done"], true);
    assert_eq!(report["domains"][0]["domain"], "cpu0");
    assert_eq!(report["domains"][0]["files"][1]["now"], 1_984_000);
}

#[test]
fn the_next_run_gives_back_what_a_killed_one_left() {
    let fake = left_behind();
    let root = fake.root().to_str().unwrap();
    let words = [
        "run",
        "--bundle",
        "engines/tiny-e2",
        "--source",
        "generator",
        "--frames",
        "3",
        "--sysfs-root",
        root,
    ];
    let output = e4(&words, &fake);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text(&output.stderr).contains("cpu0: given back"),
        "{output:?}"
    );
    assert_eq!(fake.get(&format!("{CPU}/scaling_max_freq")), "1984000\n");
}

#[test]
fn a_guard_of_a_running_e4_is_not_touched() {
    let fake = FakeTree::board();
    let guard = pin(fake.root());
    let output = e4(&["restore"], &fake);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("held by another e4 (pid "), "{said}");
    assert_eq!(fake.get(&format!("{CPU}/scaling_max_freq")), "729600\n");
    drop(guard);
}

#[test]
fn a_truncated_guard_is_said_and_kept() {
    let fake = left_behind();
    let file = fake.runtime_dir().join("cpu0.guard");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 3]).unwrap();
    let output = e4(&["restore"], &fake);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("cpu0.guard is damaged"), "{said}");
    assert!(file.exists());
}

#[test]
fn a_guard_of_another_boot_is_discarded() {
    let fake = left_behind();
    fake.put(BOOT, "00000000-0000-4000-8000-000000000009\n");
    let output = e4(&["restore"], &fake);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("another boot"), "{output:?}");
    assert_eq!(fake.get(&format!("{CPU}/scaling_max_freq")), "729600\n");
    assert_eq!(std::fs::read_dir(fake.runtime_dir()).unwrap().count(), 0);
}

#[test]
fn another_tree_than_the_guards_is_refused() {
    let fake = left_behind();
    let other = FakeTree::board();
    let output = e4(
        &["restore", "--sysfs-root", other.root().to_str().unwrap()],
        &fake,
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--sysfs-root"), "{output:?}");
}

#[test]
fn no_runtime_directory_is_nothing_to_do_and_a_file_in_its_place_is_bad_input() {
    let fake = FakeTree::board();
    assert_eq!(e4(&["restore"], &fake).status.code(), Some(0));
    std::fs::write(fake.runtime_dir(), "").unwrap();
    let output = e4(&["restore"], &fake);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--runtime-dir"), "{output:?}");
}
