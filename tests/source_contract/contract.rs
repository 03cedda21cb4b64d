//! What every [`FrameSource`] owes the pipeline, whatever it reads: the same
//! checks for clips, the generator and, in the virtual machine, cameras.
//!
//! A check gets a function that makes a fresh source with frames for a few
//! seconds, or for ever.

use e4::monotonic::now_ns;
use e4::source::{FrameSource, Next};
use e4::tensor::Slot;

/// Makes a source that was not started yet.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn FrameSource>;

/// A check and what it shows.
pub type Check = (&'static str, fn(Make<'_>));

/// Longest that a source may take for a frame, on the slowest machine.
const PATIENCE_NS: u64 = 30_000_000_000;
const STEP_NS: u64 = 50_000_000;

/// Every check.
pub const CHECKS: [Check; 9] = [
    ("frames are whole and in order", frames_in_order),
    ("no more slots than asked for are out", slots_are_bounded),
    ("a held frame does not change", held_frames_stay),
    ("a released slot comes back", slots_come_back),
    ("a deadline is kept", deadlines_are_kept),
    ("a source starts again", starts_again),
    ("slots outlive their source", slots_outlive),
    ("slots of an earlier start are harmless", foreign_slots),
    ("a start that nobody wants ends", unwanted_start),
];

fn started(make: Make<'_>, slots: usize) -> Box<dyn FrameSource> {
    let mut source = make();
    source.start(slots, &|| true).expect("the source starts");
    source
}

/// What comes next, other than that nothing has come yet.
fn event(source: &mut dyn FrameSource) -> Next {
    let patience = now_ns() + PATIENCE_NS;
    loop {
        match source.next(now_ns() + STEP_NS).expect("the source goes on") {
            Next::Idle => assert!(now_ns() < patience, "nothing for half a minute"),
            other => return other,
        }
    }
}

fn frame(source: &mut dyn FrameSource) -> Slot {
    match event(source) {
        Next::Frame(slot) => slot,
        other => panic!("no frame but {other:?}"),
    }
}

/// A number that changes with any sample of the frame.
fn checksum(slot: &Slot) -> u64 {
    let surfaces = slot.surfaces().expect("a frame is a whole picture");
    let bytes = surfaces.iter().flat_map(|surface| surface.bytes);
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn frames_in_order(make: Make<'_>) {
    let mut source = started(make, 3);
    let mut before: Option<e4::tensor::FrameMeta> = None;
    for _ in 0..12 {
        let slot = frame(source.as_mut());
        let meta = slot.meta;
        assert!(slot.surfaces().is_some(), "not a picture: {meta:?}");
        assert!(meta.width > 0 && meta.height > 0);
        assert!(meta.captured_ns > 0 && meta.captured_ns <= now_ns());
        if let Some(before) = before {
            assert!(meta.sequence > before.sequence, "{before:?} then {meta:?}");
            assert!(meta.captured_ns >= before.captured_ns);
            if meta.clip == before.clip {
                assert!(
                    meta.timestamp_ns > before.timestamp_ns,
                    "{before:?} then {meta:?}"
                );
            }
        }
        before = Some(meta);
        source.release(slot);
    }
}

fn slots_are_bounded(make: Make<'_>) {
    let mut source = started(make, 3);
    let mut held: Vec<Slot> = (0..3).map(|_| frame(source.as_mut())).collect();
    for _ in 0..3 {
        let next = source.next(now_ns() + STEP_NS).expect("the source goes on");
        assert!(
            matches!(next, Next::Starved | Next::Idle),
            "a fourth of three slots: {next:?}"
        );
    }
    let indices = |held: &[Slot]| {
        let mut indices: Vec<_> = held.iter().map(Slot::index).collect();
        indices.sort_unstable();
        indices.dedup();
        indices.len()
    };
    assert_eq!(indices(&held), 3, "a slot is out twice");
    source.release(held.remove(1));
    held.push(frame(source.as_mut()));
    assert_eq!(indices(&held), 3, "a slot is out twice");
}

fn held_frames_stay(make: Make<'_>) {
    let mut source = started(make, 4);
    let held = [frame(source.as_mut()), frame(source.as_mut())];
    let before = held.each_ref().map(|slot| (checksum(slot), slot.meta));
    for _ in 0..12 {
        let other = frame(source.as_mut());
        source.release(other);
    }
    let after = held.each_ref().map(|slot| (checksum(slot), slot.meta));
    assert_eq!(before, after, "a frame changed while it was held");
}

fn slots_come_back(make: Make<'_>) {
    let mut source = started(make, 2);
    for _ in 0..12 {
        let pair = [frame(source.as_mut()), frame(source.as_mut())];
        assert_ne!(pair[0].index(), pair[1].index());
        pair.into_iter().for_each(|slot| source.release(slot));
    }
}

fn deadlines_are_kept(make: Make<'_>) {
    let mut source = started(make, 2);
    for _ in 0..6 {
        // A deadline that has passed: an answer all the same, at once.
        match source.next(now_ns()).expect("the source goes on") {
            Next::Frame(slot) => source.release(slot),
            other => assert!(!matches!(other, Next::Starved), "no slot is out"),
        }
    }
    let slot = frame(source.as_mut());
    source.release(slot);
}

fn starts_again(make: Make<'_>) {
    let mut source = make();
    for _ in 0..3 {
        source.start(2, &|| true).expect("the source starts again");
        for _ in 0..2 {
            let slot = frame(source.as_mut());
            source.release(slot);
        }
    }
}

fn slots_outlive(make: Make<'_>) {
    let mut source = started(make, 2);
    let slot = frame(source.as_mut());
    let before = checksum(&slot);
    drop(source);
    let after = std::thread::spawn(move || checksum(&slot)).join();
    assert_eq!(after.expect("no panic"), before);
}

fn foreign_slots(make: Make<'_>) {
    let mut source = started(make, 2);
    let old = [frame(source.as_mut()), frame(source.as_mut())];
    let before = old.each_ref().map(checksum);
    source.start(2, &|| true).expect("the source starts again");
    let new = frame(source.as_mut());
    assert_eq!(old.each_ref().map(checksum), before);
    let kept = checksum(&new);
    old.into_iter().for_each(|slot| source.release(slot));
    for _ in 0..6 {
        let slot = frame(source.as_mut());
        assert_ne!(slot.index(), new.index(), "a slot is out twice");
        source.release(slot);
    }
    assert_eq!(checksum(&new), kept, "a frame changed while it was held");
}

fn unwanted_start(make: Make<'_>) {
    // Whether it calls this a failure is its own matter; it must come back.
    let _ = make().start(2, &|| false);
}
