//! The native heads against the trainer's own numbers, over every bundle that
//! ships, on the frames whose pooled features the golden file holds.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::engine::bundle::{Bundle, Golden};
use e4::engine::cpu::CpuEngine;
use e4::engine::native::NativeEngine;
use e4::gates::check::golden_decisions;
use e4::gates::{Evaluation, ExitPolicy, Gates};
use std::path::Path;

const TOLERANCE: f32 = 1e-4;

fn bundles() -> impl Iterator<Item = Bundle> {
    ["tiny-e2", "mobilenetv2-e5"].into_iter().map(|name| {
        let engines = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines");
        Bundle::open(engines.join(name)).unwrap()
    })
}

fn evaluate(gates: &mut Gates, golden: &Golden, clip: usize, t: usize, exit: usize) -> Evaluation {
    gates
        .evaluate(exit, golden.pooled(exit, clip, t).unwrap())
        .unwrap()
}

fn assert_close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (got, want) in got.iter().zip(want) {
        assert!(
            (got - want).abs() <= TOLERANCE,
            "{what}: {got} is not {want}"
        );
    }
}

/// Evaluates frame `t` at every exit, compares, and commits the golden exit.
fn compare_frame(bundle: &Bundle, gates: &mut Gates, golden: &Golden, clip: usize, t: usize) {
    let name = &bundle.manifest().name;
    let exits = bundle.manifest().exit_count();
    let classes = bundle.manifest().labels.len();
    let (logits, gate) = (
        golden.logits(clip, t).unwrap(),
        golden.gate(clip, t).unwrap(),
    );
    let beta = golden.beta(clip, t).unwrap();
    let mut first_leave = None;
    let mut clear = true;
    gates.begin_frame();
    for exit in 0..exits {
        let what = format!("{name} clip {clip} frame {t} exit {exit}");
        let got = evaluate(gates, golden, clip, t, exit);
        assert_close(&what, gates.logits(), &logits[exit * classes..][..classes]);
        assert_close(&format!("{what} beta"), &[got.beta], &beta[exit..=exit]);
        if let Some(p) = gate.get(exit) {
            assert_close(&format!("{what} gate"), &[got.gate], &[*p]);
            let threshold = bundle.manifest().exits[exit].threshold.unwrap();
            clear &= first_leave.is_some() || (p - threshold).abs() > 1e-3;
        }
        if got.leave && first_leave.is_none() {
            first_leave = Some(exit);
        }
    }
    let taken = golden.exit(clip, t).unwrap();
    if clear {
        assert_eq!(first_leave, Some(taken), "{name} clip {clip} frame {t}");
    }
    // The deeper exits were looked at for comparison only: start over and
    // commit where the trainer left.
    gates.begin_frame();
    for exit in 0..=taken {
        evaluate(gates, golden, clip, t, exit);
    }
    gates.commit();
}

#[test]
fn logits_gates_attention_and_exits_equal_the_trainers() {
    for bundle in bundles() {
        let golden = bundle.golden().unwrap();
        let mut gates = Gates::open(&bundle, ExitPolicy::Gates).unwrap();
        for clip in 0..golden.clips() {
            gates.reset();
            for t in 0..golden.pooled_frames() {
                compare_frame(&bundle, &mut gates, &golden, clip, t);
            }
        }
    }
}

#[test]
fn a_policy_that_the_bundle_cannot_follow_is_refused() {
    for bundle in bundles() {
        let exits = bundle.manifest().exit_count();
        let error = Gates::open(&bundle, ExitPolicy::Always(exits + 1)).unwrap_err();
        assert!(
            error.to_string().starts_with("--exit-policy always:"),
            "{error}"
        );
        Gates::open(&bundle, ExitPolicy::Softmax(None)).unwrap();
    }
}

#[test]
fn always_and_softmax_leave_where_they_say() {
    for bundle in bundles() {
        let golden = bundle.golden().unwrap();
        let exits = bundle.manifest().exit_count();
        for chosen in 1..=exits {
            let mut gates = Gates::open(&bundle, ExitPolicy::Always(chosen)).unwrap();
            gates.begin_frame();
            for exit in 0..chosen {
                let leave = evaluate(&mut gates, &golden, 0, 0, exit).leave;
                assert_eq!(leave, exit + 1 == chosen);
            }
        }
        let mut gates = Gates::open(&bundle, "softmax:0.5".parse().unwrap()).unwrap();
        gates.begin_frame();
        for exit in 0..exits {
            let got = evaluate(&mut gates, &golden, 0, 0, exit);
            assert_eq!(got.leave, got.softmax >= 0.5 || exit + 1 == exits);
        }
    }
}

#[test]
fn from_pixels_to_exits_every_clear_decision_is_the_trainers() {
    for bundle in bundles() {
        let golden = bundle.golden().unwrap();
        let found = golden_decisions(&CpuEngine::new(), &bundle, &golden).unwrap();
        assert!(found.is_equal(), "{}: {found:?}", bundle.manifest().name);
        assert_eq!(found.frames, golden.clips() * golden.frames());
    }
}

/// Of its own golden frames, and of those of the bundle in floats that it was made from.
#[test]
fn in_8_bits_nearly_every_golden_frame_has_the_same_class() {
    let engines = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines");
    let bundle = Bundle::open(engines.join("mobilenetv2-e5-int8")).unwrap();
    let floats = Bundle::open(engines.join("mobilenetv2-e5")).unwrap();
    for golden in [bundle.golden().unwrap(), floats.golden().unwrap()] {
        let found = golden_decisions(&NativeEngine::new(), &bundle, &golden).unwrap();
        assert!(found.is_equal(), "{found:?}");
    }
}
