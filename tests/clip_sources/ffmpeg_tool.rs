//! The real ffmpeg, where there is one.

use std::path::Path;
use std::process::{Command, Stdio};

/// True when there is an ffmpeg; says so when there is none.
pub fn have_ffmpeg() -> bool {
    let quiet = |c: &mut Command| c.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = quiet(Command::new("ffmpeg").arg("-version")).is_ok_and(|s| s.success());
    if !found {
        println!("SKIP: there is no ffmpeg");
    }
    found
}

/// Runs the real ffmpeg to make a clip.
pub fn make(arguments: &[&str], to: &Path) {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y"])
        .args(arguments)
        .arg(to);
    assert!(command.status().unwrap().success(), "{command:?}");
}
