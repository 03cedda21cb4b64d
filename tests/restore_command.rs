//! `e4 restore`, and what `e4 run` does for the clocks at its start.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::clocks::{Guard, Khz, Place, Tree, discover};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
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

/// A guard as anybody who may write to the runtime directory could make it: whole,
/// and with a sum that fits.
fn forge(fake: &FakeTree, change: impl Fn(&mut Value)) {
    let file = |role: &str, name: &str, value: u64| {
        let path = format!("{CPU}/{name}");
        json!({"role": role, "file": path, "shown": path, "saved": value,
            "give_back": value, "text": format!("{value}\n")})
    };
    let mut head = json!({
        "schema": "e4.guard/1",
        "boot_id": fake.get(BOOT).trim(),
        "pid": 1,
        "sysfs_root": fake.root(),
        "domain": "cpu0",
        "kind": "cpu",
        "folder": CPU,
        "governor": {"file": format!("{CPU}/scaling_governor"), "saved": "schedutil"},
        "files": [
            file("min", "scaling_min_freq", 729_600),
            file("max", "scaling_max_freq", 1_113_600),
        ],
    });
    change(&mut head);
    let json = head.to_string();
    let sum = Sha256::digest(json.as_bytes());
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = format!("{json}\nsha256 {sum}");
    let end = (text.len() + 1).next_multiple_of(64) - 1;
    text = format!("{text:end$}\n");
    for value in [729_600, 1_984_000] {
        text += &format!("{:63}\n", format!("{value:>20} {value:>20}"));
    }
    std::fs::create_dir_all(fake.runtime_dir()).unwrap();
    std::fs::write(fake.runtime_dir().join("cpu0.guard"), text).unwrap();
}

#[test]
fn a_whole_guard_of_the_domains_own_files_is_obeyed() {
    let fake = FakeTree::board();
    forge(&fake, |_| ());
    let output = e4(&["restore"], &fake);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(fake.get(&format!("{CPU}/scaling_max_freq")), "1113600\n");
}

#[test]
fn a_guard_that_names_anything_but_its_clocks_files_is_damaged_and_writes_nothing() {
    type Change<'a> = &'a dyn Fn(&mut Value);
    let fake = FakeTree::board();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), "1984000\n").unwrap();
    let outside_path = outside.path().to_str().unwrap().to_owned();
    fake.put("victim", "1984000\n");
    fake.put(&format!("{CPU}/other"), "1984000\n");
    let both = |guard: &mut Value, file: &str| {
        guard["files"][1]["file"] = file.into();
        guard["files"][1]["shown"] = file.into();
    };
    let cases: [(&str, Change); 16] = [
        ("above the tree", &|g| both(g, "../victim")),
        ("absolute", &|g| both(g, &outside_path)),
        ("beside the clock", &|g| both(g, &format!("{CPU}/other"))),
        ("up and down", &|g| {
            both(g, &format!("{CPU}/../policy0/scaling_max_freq"))
        }),
        ("not what is shown", &|g| {
            g["files"][1]["file"] = "victim".into()
        }),
        ("another role", &|g| g["files"][1]["role"] = "lock".into()),
        ("the folder", &|g| {
            g["folder"] = "sys/devices/system/cpu/cpufreq/policy0/..".into()
        }),
        ("no policy", &|g| g["folder"] = "etc".into()),
        ("another kind", &|g| g["kind"] = "gpu".into()),
        ("words", &|g| g["files"][1]["text"] = "root::0:0\n".into()),
        ("another number", &|g| g["files"][1]["text"] = "99\n".into()),
        ("two lines", &|g| {
            g["files"][1]["text"] = "1113600\n1\n".into()
        }),
        ("no file", &|g| g["files"] = json!([])),
        ("one file twice", &|g| g["files"][1] = g["files"][0].clone()),
        ("governor's file", &|g| {
            g["governor"]["file"] = "etc/hostname".into()
        }),
        ("governor's name", &|g| {
            g["governor"]["saved"] = "a\nb".into()
        }),
    ];
    for (name, change) in cases {
        forge(&fake, change);
        let before = fake.files();
        let output = e4(&["restore"], &fake);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        assert!(said.contains("cpu0.guard is damaged"), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        assert_eq!(fake.files(), before, "{name}");
        assert_eq!(
            std::fs::read_to_string(outside.path()).unwrap(),
            "1984000\n"
        );
    }
}

#[test]
fn a_clocks_file_that_leads_out_of_the_tree_is_not_written_to() {
    let fake = FakeTree::board();
    forge(&fake, |_| ());
    fake.put("victim", "1984000\n");
    let max = fake.path(&format!("{CPU}/scaling_max_freq"));
    std::fs::remove_file(&max).unwrap();
    std::os::unix::fs::symlink(fake.path("victim"), &max).unwrap();
    let output = e4(&["restore"], &fake);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("is damaged"), "{output:?}");
    assert_eq!(fake.get("victim"), "1984000\n");
}

#[test]
fn a_guard_that_is_no_regular_file_is_refused_at_once() {
    let fake = FakeTree::board();
    std::fs::create_dir_all(fake.runtime_dir()).unwrap();
    let guard = fake.runtime_dir().join("cpu0.guard");
    let modes = nix::sys::stat::Mode::S_IRWXU;
    let makes: [&dyn Fn(); 4] = [
        &|| nix::unistd::mkfifo(&guard, modes).unwrap(),
        &|| std::fs::create_dir(&guard).unwrap(),
        &|| std::os::unix::fs::symlink("/nonexistent", &guard).unwrap(),
        &|| std::os::unix::fs::symlink("/dev/zero", &guard).unwrap(),
    ];
    for make in makes {
        make();
        let mut child = Command::new(env!("CARGO_BIN_EXE_e4"))
            .args(["restore", "--runtime-dir"])
            .arg(fake.runtime_dir())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Opened for writing, a FIFO that is waited on would let go: nobody does so.
        let since = std::time::Instant::now();
        while child.try_wait().unwrap().is_none() {
            if since.elapsed() > std::time::Duration::from_secs(20) {
                child.kill().unwrap();
                panic!("it hangs");
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("no regular file"), "{said}");
        std::fs::remove_file(&guard)
            .or_else(|_| std::fs::remove_dir(&guard))
            .unwrap();
    }
}
