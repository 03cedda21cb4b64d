//! What other processes, caps and broken files do to a run with clocks.

use super::*;

/// Writes as another process does: once, into the file that is there.
fn write_once(board: &Board, file: &str, text: &str) {
    std::fs::write(board.fake.path(&format!("{CPU}/{file}")), text).unwrap();
}

fn asked(lines: &[Value]) -> Vec<u64> {
    let asked = lines
        .iter()
        .map(|l| l["clocks"]["asked"]["cpu_khz"].as_u64());
    asked.map(|khz| khz.unwrap_or(0)).collect()
}

#[test]
fn another_process_that_caps_a_clock_is_counted_and_obeyed() {
    // Once between the writes, at moments that fall anywhere in a frame.
    for moment in 0..4 {
        let board = Board::new();
        let child = board.start(&["--dvfs", "plan", "--frames", "60", "--json"]);
        board.is_changed();
        assert!(board.fake.path(&format!("{EMC}/rate")).exists());
        std::thread::sleep(std::time::Duration::from_millis(300 + 17 * moment));
        write_once(&board, "scaling_max_freq", "1510400\n");
        let done = end(child);
        let words = text(&done.stderr).to_owned();
        assert!(done.status.success(), "{words}");
        let dvfs = summary(board.summary_path()).dvfs.unwrap();
        assert!(dvfs.clamped >= 1, "{dvfs:?} {words}");
        assert!(words.contains("held down by another process"), "{words}");
        let lines = lines(&done);
        let last = asked(&lines[lines.len() - 3..]);
        assert!(last.iter().all(|&khz| khz <= 1_510_400), "{last:?}");
        // It is theirs now.
        assert_eq!(
            board.fake.get(&format!("{CPU}/scaling_max_freq")),
            "1510400\n"
        );
        assert_eq!(
            board.fake.get(&format!("{CPU}/scaling_min_freq")),
            "729600\n"
        );
        assert!(words.contains("scaling_max_freq holds 1510400"), "{words}");
    }
}

#[test]
fn another_process_that_holds_a_clock_up_is_counted_and_obeyed() {
    let board = Board::new();
    let child = board.start(&["--dvfs", "plan", "--frames", "60", "--json"]);
    board.is_changed();
    std::thread::sleep(std::time::Duration::from_millis(400));
    write_once(&board, "scaling_min_freq", "1510400\n");
    let done = end(child);
    let words = text(&done.stderr).to_owned();
    assert!(done.status.success(), "{words}");
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    assert!(dvfs.clamped >= 1, "{dvfs:?} {words}");
    assert_eq!(
        board.fake.get(&format!("{CPU}/scaling_min_freq")),
        "1510400\n"
    );
    assert!(words.contains("scaling_min_freq holds 1510400"), "{words}");
}

#[test]
fn a_cap_that_holds_from_the_start_is_counted_and_said_once() {
    let board = Board::new();
    write_once(&board, "scaling_max_freq", "1113600\n");
    let done = board.run(&["--dvfs", "plan", "--frames", "30"]);
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    let words = text(&done.stderr);
    assert_eq!(dvfs.clamped, 1, "{dvfs:?} {words}");
    assert_eq!(words.matches("held down by").count(), 1, "{words}");
    let max = format!("{CPU}/scaling_max_freq");
    assert_eq!(board.fake.get(&max), "1113600\n");
}

#[test]
fn a_clock_that_is_not_the_one_asked_for_is_not_in_effect() {
    let board = Board::new();
    let cur = board.fake.path(&format!("{CPU}/cpuinfo_cur_freq"));
    std::fs::remove_file(&cur).unwrap();
    std::fs::write(&cur, "1800000\n").unwrap();
    let done = board.run(&["--dvfs", "plan", "--frames", "20", "--json"]);
    for line in lines(&done) {
        assert!(line["clocks"]["in_effect"]["cpu_khz"].is_null(), "{line}");
    }
    let seen = board.run(&["--dvfs", "observe", "--frames", "8", "--json"]);
    let last = lines(&seen).pop().unwrap();
    assert_eq!(last["clocks"]["in_effect"]["cpu_khz"], 1_800_000);
}

#[test]
fn one_broken_file_costs_one_domain() {
    let board = Board::new();
    write_once(&board, "scaling_max_freq", "garbage\n");
    let words = ["--dvfs", "plan", "--frames", "20", "--json"];
    let done = board.run(&words);
    let said = text(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("scaling_max_freq holds no number"), "{said}");
    let dvfs = summary(board.summary_path()).dvfs.unwrap();
    assert_eq!(dvfs.refused, 1, "{dvfs:?}");
    let last = lines(&done).pop().unwrap();
    assert!(last["clocks"]["asked"]["gpu_khz"].is_u64(), "{last}");
    assert!(last["clocks"]["asked"].get("cpu_khz").is_none(), "{last}");
    let max = format!("{CPU}/scaling_max_freq");
    assert_eq!(board.fake.get(&max), "garbage\n");
    assert_eq!(
        std::fs::read_dir(board.fake.runtime_dir()).unwrap().count(),
        0
    );
    let strict = board.run(&[&words[..], &["--on-error", "strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    assert!(text(&strict.stderr).contains("scaling_max_freq"));
}

#[test]
fn a_second_e4_with_another_runtime_directory_is_refused() {
    let board = Board::new();
    let first = board.start(&["--dvfs", "plan"]);
    board.is_changed();
    let other = board.fake.path("other-run");
    let other = other.to_str().unwrap();
    let second = board.run(&["--dvfs", "plan", "--frames", "3", "--runtime-dir", other]);
    assert_eq!(second.status.code(), Some(1), "{}", text(&second.stderr));
    let words = text(&second.stderr);
    assert!(words.contains("held by another e4"), "{words}");
    assert_eq!(std::fs::read_dir(other).unwrap().count(), 0);
    process::interrupt(&first);
    assert!(end(first).status.success());
    board.is_as_before();
}
