//! Priorities of the threads where real time is asked for and the configuration
//! gives none.
//!
//! Guarantees: dvfs > capture > gate > sink > infer. Whoever runs for
//! microseconds goes before whoever runs for milliseconds, so that a stage that
//! shares infer's core is not kept waiting by a segment; and all stay below 50,
//! where a PREEMPT_RT kernel runs its interrupt threads: a camera's interrupt
//! must not wait for the one who waits for its frame.

/// The clocks: late by a segment, and the segment runs at the wrong one.
pub const DVFS: u8 = 45;
/// The camera: late by a frame interval, and the driver drops frames.
pub const CAPTURE: u8 = 40;
/// The exit decision, which infer waits for.
pub const GATE: u8 = 35;
/// Results and telemetry, which nobody waits for.
pub const SINK: u8 = 30;
/// The segments: alone on their core where there are enough.
pub const INFER: u8 = 25;

const _: () = assert!(DVFS > CAPTURE && CAPTURE > GATE && GATE > SINK && SINK > INFER);
