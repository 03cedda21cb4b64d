//! Random networks against tract, which knows nothing of fusion, strips and
//! blocks.

use super::make::{Feature, Geometry, Net};
use super::{Isa, differ, plan, run};
use proptest::prelude::*;
use tract_onnx::prelude::*;

fn tract(net: &Net, x: &[f32]) -> TractResult<Vec<Vec<f32>>> {
    let model = tract_onnx::onnx().model_for_read(&mut net.encode().as_slice())?;
    let runnable = model.into_optimized()?.into_runnable()?;
    let input = Tensor::from_shape(net.input().1, x)?;
    let outputs = runnable.run(tvec!(input.into_tvalue()))?;
    let values = outputs.iter().map(|output| {
        let view = output.try_as_plain_ram()?;
        Ok(view.as_slice::<f32>()?.to_vec())
    });
    values.collect()
}

/// One more layer, or several.
fn grow(net: &mut Net, made: &[Feature], x: &Feature) -> Feature {
    let act = net.numbers.below(7);
    let side = x.dims[2].min(x.dims[3]);
    let kernel = [1, 3, 5, 2][net.numbers.below(4)];
    let stride = 1 + usize::from(side > 6 && net.numbers.once_in(3));
    let around = Geometry {
        kernel: (kernel, kernel),
        stride: (stride, stride),
        pads: [kernel / 2, kernel / 2, (kernel - 1) / 2, (kernel - 1) / 2],
    };
    let out = 1 + net.numbers.below(40);
    let depthwise = x.dims[1] > 1;
    match net.numbers.below(11) {
        0 | 1 => {
            let y = net.conv(x, Some(out), Geometry::POINT);
            net.act(&y, act)
        }
        2 | 3 if depthwise => {
            let y = net.conv(x, None, around);
            net.act(&y, act)
        }
        4 => {
            let y = net.conv(x, Some(out), around);
            let y = net.batch_norm(&y);
            net.act(&y, act)
        }
        5 => {
            let wide = net.conv(x, Some(2 * x.dims[1]), Geometry::POINT);
            let wide = net.act(&wide, act);
            let deep = net.conv(&wide, None, around);
            let deep = net.act(&deep, act);
            let deep = if net.numbers.once_in(2) {
                net.excite(&deep, 4)
            } else {
                deep
            };
            let y = net.conv(&deep, Some(x.dims[1]), Geometry::POINT);
            if y.dims == x.dims { net.add(x, &y) } else { y }
        }
        6 => net.excite(x, 3),
        7 => {
            let twin = made.iter().rfind(|f| f.dims == x.dims && *f != x);
            let other = twin.unwrap_or(x).clone();
            let y = net.add(x, &other);
            net.act(&y, act)
        }
        8 => net.batch_norm(x),
        9 => {
            let padded = net.pad(x, [1, 0, 2, 1]);
            let narrow = Geometry {
                kernel: (3, 2),
                stride: (1, 2),
                pads: [0; 4],
            };
            net.conv(&padded, Some(out), narrow)
        }
        _ => net.act(x, act),
    }
}

fn random(seed: u64, dims: &[usize], layers: usize, head: usize) -> Net {
    let (mut net, x) = Net::new(seed, dims);
    let mut made = vec![x];
    for _ in 0..layers {
        let at = made.len() - 1 - net.numbers.below(made.len().min(2));
        let from = made[at].clone();
        let y = grow(&mut net, &made, &from);
        made.push(y);
    }
    let last = made[made.len() - 1].clone();
    if last.name == "x" {
        let y = net.act(&last, 1);
        net.output(&y);
    } else {
        net.output(&last);
    }
    let pooled = match head {
        0 => net.global_pool(&last),
        1 => {
            let mean = net.global_pool(&last);
            net.gemm(&mean, 11)
        }
        2 => net.gemm(&last, 5),
        _ => {
            let side = last.dims[2].min(last.dims[3]).min(3);
            let g = Geometry {
                kernel: (side, side),
                stride: (side, side),
                pads: [0; 4],
            };
            net.average_pool(&last, g, false)
        }
    };
    net.output(&pooled);
    net
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn random_networks_equal_tract(
        seed: u64, c in 1_usize..20, h in 4_usize..20, w in 4_usize..20,
        layers in 1_usize..9, head in 0_usize..4,
    ) {
        let net = random(seed, &[1, c, h, w], layers, head);
        let mut numbers = net.numbers.clone();
        let x = numbers.values(c * h * w, 2.0);
        // tract has bugs of its own with some networks; those tell nothing of ours.
        let expected = tract(&net, &x).map_err(|_| TestCaseError::reject("tract cannot run it"))?;
        for isa in Isa::ALL {
            let Some(plan) = plan(&net, isa) else { continue };
            let mut plan = plan.map_err(|e| TestCaseError::fail(e.to_string()))?;
            let found = run(&mut plan, &net, &x);
            for (found, expected) in found.iter().zip(&expected) {
                let wrong = differ(found, expected, 3e-5);
                prop_assert!(wrong.is_none(), "{:?}: {}", isa, wrong.unwrap_or_default());
            }
        }
    }
}

#[test]
fn a_network_may_hand_its_input_on() {
    let (mut net, x) = Net::new(1, &[1, 3, 4, 4]);
    let y = net.node("Identity", &[&x.name], vec![], &x.dims);
    net.output(&y);
    let pooled = net.global_pool(&x);
    net.output(&pooled);
    let values = net.numbers.clone().values(48, 1.0);
    let mut plan = plan(&net, Isa::Portable).unwrap().unwrap();
    assert_eq!(run(&mut plan, &net, &values)[0], values);
}
