//! The contract of frame sources, over the generator and clips. Cameras keep it
//! in the virtual machine: `tests/vm/run x86_64 camera_keeps_the_contract`.

mod contract;

use contract::CHECKS;
use e4::source::FrameSource;
use e4::source::clip::{ClipOptions, ClipSource};
use e4::source::generator::camera::{CameraOptions, Generator};
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

/// Runs every check, and says which one hangs.
fn check(make: impl Fn() -> Box<dyn FrameSource> + Send + 'static) {
    let (done, progress) = mpsc::channel();
    let checks = std::thread::spawn(move || {
        for (name, check) in CHECKS {
            check(&make);
            done.send(name).expect("the watchdog listens");
        }
    });
    for (name, _) in CHECKS {
        match progress.recv_timeout(Duration::from_secs(120)) {
            Ok(passed) => assert_eq!(passed, name),
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                checks
                    .join()
                    .unwrap_or_else(|_| panic!("{name}: does not hold"));
                return;
            }
        }
    }
    checks.join().expect("all checks passed");
}

fn generator(live: bool) -> Box<dyn FrameSource> {
    let camera = Generator::new(CameraOptions {
        width: 64,
        height: 48,
        fps: 60.0,
        live,
        ..CameraOptions::default()
    });
    Box::new(camera.expect("options in their ranges"))
}

#[test]
fn the_live_generator_keeps_the_contract() {
    check(|| generator(true));
}

#[test]
fn the_fast_generator_keeps_the_contract() {
    check(|| generator(false));
}

#[test]
fn a_clip_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip.y4m");
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(b"YUV4MPEG2 W16 H8 F25:1 C420jpeg\n")
        .expect("space");
    for number in 0..40_u8 {
        file.write_all(b"FRAME\n").expect("space");
        file.write_all(&[number; 16 * 8 * 3 / 2]).expect("space");
    }
    drop(file);
    check(move || {
        let kept = &folder;
        let path = kept.path().join("clip.y4m");
        Box::new(ClipSource::open(&path, ClipOptions::default()).expect("a clip"))
    });
}
