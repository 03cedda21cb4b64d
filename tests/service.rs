//! e4 as a systemd service: the unit file, and what systemd is told.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let unit = include_str!("../systemd/e4.service");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e4.service");
    // The binary that is installed in a user's system.
    let here = unit.replace("/usr/bin/e4", env!("CARGO_BIN_EXE_e4"));
    std::fs::write(&file, here).unwrap();
    match Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output()
    {
        Err(error) => println!("SKIP: systemd-analyze cannot be run ({error})"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            let about_us: Vec<_> = said.lines().filter(|l| l.contains("e4.service")).collect();
            assert!(about_us.is_empty(), "{about_us:?}");
        }
    }
}

#[test]
fn systemd_hears_that_a_run_is_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_e4"))
        .args([
            "run",
            "--bundle",
            "engines/tiny-e2",
            "--source",
            "generator",
            "--frames",
            "30",
        ])
        .arg("--runtime-dir")
        .arg(folder.path().join("run"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "150000")
        .env_remove("WATCHDOG_PID")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let mut message = [0; 256];
    while said.last().is_none_or(|last| last != "STOPPING=1") {
        let length = socket.recv(&mut message).expect("a message in time");
        let text = String::from_utf8_lossy(&message[..length]);
        said.extend(text.lines().map(str::to_owned));
    }
    assert!(run.wait().unwrap().success());
    assert_eq!(said[0], "READY=1");
    let alive = said.iter().filter(|line| *line == "WATCHDOG=1").count();
    assert!(alive >= 3, "{said:?}");
}
