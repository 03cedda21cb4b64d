//! Plans, and other files that a run is given, which it refuses.

use super::*;

#[test]
fn plans_for_something_else_are_refused_by_name() {
    let board = Board::new();
    type Change<'a> = &'a dyn Fn(&str) -> String;
    let cases: [(Change, &str); 4] = [
        (
            &|t| t.replace("bundle_sha256 = \"", "bundle_sha256 = \"0"),
            "digest",
        ),
        (
            &|t| t.replace("1984000", "1984001"),
            "cpu_khz = 1984001 is no clock of this board",
        ),
        (&|t| t.replace("e4.plan/1", "e4.plan/9"), "e4.plan/9"),
        (&|_| "?".into(), "line 1"),
    ];
    for (change, wanted) in cases {
        plan(&board.fake, change);
        let done = board.run(&["--dvfs", "plan", "--frames", "3"]);
        let words = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{words}");
        assert!(
            words.contains(wanted) && words.contains("--plan"),
            "{words}"
        );
        assert_eq!(words.lines().count(), 1, "{words}");
    }
    process::refused(&["--dvfs", "plan"], "--plan FILE");
    process::refused(&["--plan", "x"], "--dvfs plan");
    process::refused(&["--dvfs", "planned"], "off, observe, plan");
    board.is_as_before();
}

#[test]
fn a_plan_for_another_board_is_refused_by_the_run_and_by_the_doctor() {
    let board = Board::new();
    let wrong = ["--dvfs", "plan", "--frames", "3", "--board", "agx-orin"];
    let done = board.run(&wrong);
    let words = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{words}");
    assert!(words.contains("for the board orin-nano"), "{words}");
    let (root, plan_file) = (board.fake.root().to_str().unwrap(), &board.plan);
    let mut doctor = process::e4();
    doctor.args(["doctor", "--bundle", process::BUNDLE, "--json"]);
    doctor.args(["--sysfs-root", root, "--dvfs", "plan"]);
    doctor
        .args(["--board", "agx-orin", "--plan"])
        .arg(plan_file);
    let said = end(doctor.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let report: Value = serde_json::from_slice(&said.stdout).unwrap();
    let rows = report["checks"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == "plan").unwrap();
    assert_eq!(row["state"], "fail", "{row}");
    assert!(row["fix"].as_str().unwrap().contains("e4 plan"), "{row}");
    board.fake.put(
        "proc/device-tree/compatible",
        "nvidia,p3737-0000+p3701-0005\0",
    );
    let done = board.run(&["--dvfs", "plan", "--frames", "3"]);
    let words = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{words}");
    let right = board.run(&["--dvfs", "plan", "--frames", "3", "--board", "orin-nano"]);
    assert!(right.status.success(), "{}", text(&right.stderr));
    plan(&board.fake, |t| t.replace("\"orin-nano\"", "\"\""));
    let empty = board.run(&["--dvfs", "plan", "--frames", "3"]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(text(&empty.stderr).contains("board is empty"));
}

#[test]
fn a_digest_in_capitals_is_the_same_digest() {
    let board = Board::new();
    plan(&board.fake, |t| {
        let (head, rest) = t.split_once("sha256 = \"").unwrap();
        let (digest, rest) = rest.split_once('"').unwrap();
        format!("{head}sha256 = \"{}\"{rest}", digest.to_uppercase())
    });
    let done = board.run(&["--dvfs", "plan", "--frames", "3"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
}

#[test]
fn inputs_that_are_no_files_are_refused_at_once() {
    let board = Board::new();
    let fifo = board.fake.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fifo = fifo.to_str().unwrap();
    for flag in ["--plan", "--transitions"] {
        let done = board.run(&["--dvfs", "plan", flag, fifo]);
        let words = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{words}");
        assert!(
            words.contains(flag) && words.contains("no regular file"),
            "{words}"
        );
    }
}

#[test]
fn transitions_that_cannot_be_are_refused() {
    let board = Board::new();
    let path = board.fake.path("transitions.json");
    let entry = |direction: &str, p50: &str, more: &str| {
        format!(
            r#"{{"schema":"e4.transitions/1","domains":[{{"domain":"cpu0","kind":"cpu","distributions":[
            {{"direction":"{direction}","by":"read-back","p50_us":{p50},"p90_us":9.0{more}}}]}}]}}"#
        )
    };
    for (text_in, wanted) in [
        (entry("sideways", "5.0", ""), "sideways"),
        (entry("up", "-5.0", ""), "-5"),
        (entry("up", "1e300", ""), "no times"),
        (entry("up", "5.0", ",\"colour\":1"), "colour"),
    ] {
        std::fs::write(&path, text_in).unwrap();
        let transitions = ["--transitions", path.to_str().unwrap()];
        let words = [&["--dvfs", "plan", "--frames", "3"][..], &transitions].concat();
        let done = board.run(&words);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(
            said.contains(wanted) && said.contains("--transitions"),
            "{said}"
        );
    }
}
