use super::*;
use crate::monotonic::{now_ns, sleep_until};
use crate::source::generator::Script;

fn camera(options: CameraOptions) -> Generator {
    let mut camera = Generator::new(CameraOptions {
        width: 48,
        height: 32,
        ..options
    })
    .unwrap();
    camera.start(3, &|| true).unwrap();
    camera
}

fn frame(camera: &mut Generator) -> Slot {
    match camera.next(now_ns() + 10_000_000_000).unwrap() {
        Next::Frame(slot) => slot,
        other => panic!("no frame but {other:?}"),
    }
}

#[test]
fn every_format_fills_its_frame_and_says_so() {
    for format in PixelFormat::ALL {
        let mut generator = Generator::new(CameraOptions {
            width: 33,
            height: 17,
            format,
            live: false,
            ..CameraOptions::default()
        })
        .unwrap();
        generator.start(1, &|| true).unwrap();
        let slot = frame(&mut generator);
        assert_eq!(Some(slot.data.len()), format.frame_len(33, 17));
        let meta = slot.meta;
        assert_eq!((meta.width, meta.height, meta.format), (33, 17, format));
    }
}

#[test]
fn labels_are_those_of_the_stream_and_it_is_one_clip() {
    let mut camera = camera(CameraOptions {
        fps: 10.0,
        seed: 9,
        live: false,
        ..CameraOptions::default()
    });
    let mut script = Script::stream(9, 0, None);
    for n in 0..200_u32 {
        script.advance(f64::from(n) / 10.0);
        let slot = frame(&mut camera);
        assert_eq!(slot.meta.label, Some(script.performance().action.label()));
        assert_eq!((slot.meta.sequence, slot.meta.clip), (u64::from(n), 0));
        assert_eq!(slot.meta.timestamp_ns, u64::from(n) * 100_000_000);
        camera.release(slot);
    }
    assert!(camera.gaps().is_empty());
    assert_eq!(camera.info().labels.len(), 8);
}

#[test]
fn it_ends_after_the_frames_asked_for_and_stays_ended() {
    let mut camera = camera(CameraOptions {
        frames: Some(2),
        live: false,
        ..CameraOptions::default()
    });
    for _ in 0..2 {
        let slot = frame(&mut camera);
        camera.release(slot);
    }
    assert!(matches!(camera.next(u64::MAX), Ok(Next::End)));
    assert!(matches!(camera.next(u64::MAX), Ok(Next::End)));
}

#[test]
fn live_frames_carry_the_instant_they_were_due() {
    let mut camera = camera(CameraOptions {
        fps: 200.0,
        ..CameraOptions::default()
    });
    let first = frame(&mut camera);
    let start_ns = first.meta.timestamp_ns;
    camera.release(first);
    for _ in 0..20 {
        let slot = frame(&mut camera);
        let meta = slot.meta;
        assert_eq!(meta.timestamp_ns, start_ns + meta.sequence * 5_000_000);
        assert!(meta.captured_ns >= meta.timestamp_ns && now_ns() >= meta.captured_ns);
        camera.release(slot);
    }
}

#[test]
fn a_deadline_before_the_next_frame_comes_back_idle_without_losing_it() {
    let mut camera = camera(CameraOptions {
        fps: 20.0,
        ..CameraOptions::default()
    });
    let first = frame(&mut camera);
    camera.release(first);
    let mut idle = 0;
    let second = loop {
        match camera.next(now_ns() + 2_000_000).unwrap() {
            Next::Frame(slot) => break slot,
            Next::Idle => idle += 1,
            other => panic!("{other:?}"),
        }
    };
    let missed: u64 = camera.gaps().values().sum();
    assert_eq!(second.meta.sequence, 1 + missed);
    assert!(idle > 0 || missed > 0);
}

#[test]
fn instants_without_a_free_slot_are_gaps() {
    let mut camera = camera(CameraOptions {
        fps: 500.0,
        ..CameraOptions::default()
    });
    let mut held: Vec<_> = (0..3).map(|_| frame(&mut camera)).collect();
    let before: u64 = camera.gaps().values().sum();
    assert!(matches!(camera.next(u64::MAX), Ok(Next::Starved)));
    sleep_until(now_ns() + 20_000_000);
    held.drain(..).for_each(|slot| camera.release(slot));
    let slot = frame(&mut camera);
    let gaps = camera.gaps();
    assert!(gaps["starved"] >= 8, "{gaps:?}");
    let all: u64 = gaps.values().sum();
    assert_eq!(slot.meta.sequence, 3 + all);
    assert!(all > before);
}

#[test]
fn as_fast_as_possible_starving_loses_nothing() {
    let mut camera = camera(CameraOptions {
        live: false,
        ..CameraOptions::default()
    });
    let held: Vec<_> = (0..3).map(|_| frame(&mut camera)).collect();
    assert!(matches!(camera.next(u64::MAX), Ok(Next::Starved)));
    held.into_iter().for_each(|slot| camera.release(slot));
    assert_eq!(frame(&mut camera).meta.sequence, 3);
    assert!(camera.gaps().is_empty());
}

#[test]
fn frames_drawn_beforehand_are_the_streams_first_and_come_round() {
    let options = CameraOptions {
        live: false,
        ..CameraOptions::default()
    };
    let mut plain = camera(options.clone());
    let mut stocked = camera(CameraOptions {
        prerender: 4,
        ..options
    });
    let mut first = Vec::new();
    for n in 0..8 {
        let slot = frame(&mut stocked);
        if n < 4 {
            let drawn = frame(&mut plain);
            assert_eq!(slot.data, drawn.data);
            plain.release(drawn);
            first.push(slot.data.clone());
        } else {
            assert_eq!(slot.data, first[n - 4]);
        }
        assert_eq!(slot.meta.sequence, n as u64);
        stocked.release(slot);
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let good = CameraOptions::default;
    let bad = [
        CameraOptions { width: 0, ..good() },
        CameraOptions {
            height: 99_999,
            ..good()
        },
        CameraOptions {
            fps: f64::NAN,
            ..good()
        },
        CameraOptions {
            difficulty: Some(1.5),
            ..good()
        },
        CameraOptions {
            prerender: u32::MAX,
            ..good()
        },
    ];
    let named = bad.map(|options| Generator::new(options).map(|_| ()).unwrap_err().setting);
    assert_eq!(named, ["width", "height", "fps", "difficulty", "prerender"]);
}

#[test]
fn it_starts_again_from_the_beginning() {
    let mut camera = camera(CameraOptions {
        live: false,
        ..CameraOptions::default()
    });
    let first = frame(&mut camera);
    camera.start(3, &|| true).unwrap();
    assert_eq!(frame(&mut camera).data, first.data);
}
