//! The engine as a whole, without bundles: every instruction set against the
//! portable one, random networks against tract, files that cannot be.

mod differential;
mod hostile;
pub(in crate::engine::native) mod make;
mod networks;
mod quantised;

use super::kernels::Kernels;
use super::{Isa, Network, Refusal};
use make::Net;
pub(in crate::engine::native) use make::Numbers;

/// The plan of `net` on `isa`; `None` where this machine lacks it.
fn plan(net: &Net, isa: Isa) -> Option<Result<Network, Refusal>> {
    let outputs: Vec<(&str, &[usize])> = net.outputs();
    Kernels::of(isa).map(|k| Network::read(k, &net.encode(), net.input(), &outputs))
}

/// What `plan` makes of `x`.
fn run(plan: &mut Network, net: &Net, x: &[f32]) -> Vec<Vec<f32>> {
    let len = |i: usize| net.outputs()[i].1.iter().product();
    let mut first = vec![0.0; len(0)];
    if net.outputs().len() == 1 {
        plan.run(x, [&mut first]).unwrap();
        return vec![first];
    }
    let mut second = vec![0.0; len(1)];
    plan.run(x, [&mut first, &mut second]).unwrap();
    vec![first, second]
}

/// Whether two results are the same up to rounding: each value within `bound` of
/// the largest, or neither of them finite.
fn differ(found: &[f32], expected: &[f32], bound: f32) -> Option<String> {
    let finite = expected.iter().filter(|v| v.is_finite());
    let scale = finite.fold(1e-20_f32, |m, v| m.max(v.abs()));
    let wrong = found.iter().zip(expected).position(|(f, e)| {
        let same = (f - e).abs() <= bound * scale || (!f.is_finite() && !e.is_finite());
        !same
    });
    if found.len() != expected.len() {
        return Some(format!("{} values, not {}", found.len(), expected.len()));
    }
    wrong.map(|i| format!("value {i} is {}, not {}", found[i], expected[i]))
}
