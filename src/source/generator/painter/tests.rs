use super::*;
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// A painter whose sensor is free of noise.
fn clean(width: u32, height: u32) -> Painter {
    let mut painter = Painter::new(width, height);
    painter.noise.fill(0.0);
    painter
}

fn clip(seed: u64, index: u64, frames: u32) -> Vec<u8> {
    let mut painter = Painter::new(96, 96);
    let script = Script::clip(seed, index, None);
    let times = (0..frames).map(|n| (u64::from(n), f64::from(n) / 10.0));
    times
        .flat_map(|(n, at_s)| painter.paint(&script, at_s, n).to_vec())
        .collect()
}

fn largest_step(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap_or(0)
}

#[test]
fn the_same_seed_and_index_give_the_same_bytes() {
    assert_eq!(clip(7, 3, 20), clip(7, 3, 20));
}

/// The shipped bundles were trained on these very scenes: when this changes,
/// they have to be trained again.
#[test]
fn the_scenes_are_those_the_bundles_were_trained_on() {
    let mut hash = Sha256::new();
    (0..8).for_each(|index| hash.update(clip(1, index, 20)));
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hash,
        "66b69ce417bd3f4850fb0ee0f98e9e29ab580a55633a3cd39feef0122fb29762"
    );
}

#[test]
fn seeds_and_indices_share_no_clip() {
    let clips: HashSet<_> = (0..4)
        .flat_map(|seed| (0..25).map(move |index| clip(seed, index, 1)))
        .collect();
    assert_eq!(clips.len(), 100);
}

#[test]
fn a_frame_is_the_same_at_any_frame_rate() {
    for index in 0..12 {
        let mut slow = clean(96, 96);
        let mut fast = clean(96, 96);
        let script = Script::clip(11, index, None);
        for n in 0..20_u32 {
            let a = slow
                .paint(&script, f64::from(n) / 10.0, u64::from(n))
                .to_vec();
            let b = fast.paint(&script, f64::from(3 * n) / 30.0, u64::from(3 * n));
            assert!(largest_step(&a, b) <= 1, "clip {index}, frame {n}");
        }
    }
}

#[test]
fn a_stream_shows_the_same_at_any_frame_rate_through_its_cuts() {
    let (mut slow, mut fast) = (clean(64, 64), clean(64, 64));
    let mut at_10 = Script::stream(3, 0, None);
    let mut at_30 = at_10.clone();
    for n in 0..600_u32 {
        let time_s = f64::from(n) / 30.0;
        at_30.advance(time_s);
        let b = fast.paint(&at_30, time_s, 0).to_vec();
        if n % 3 == 0 {
            let time_s = f64::from(n / 3) / 10.0;
            at_10.advance(time_s);
            let a = slow.paint(&at_10, time_s, 0);
            assert!(largest_step(a, &b) <= 1, "frame {n}");
        }
    }
}

/// The square in the middle of a frame, `rim` pixels less on each side: blur
/// sees a little beyond the border, where a square frame has none.
fn middle(rgb: &[u8], width: usize, height: usize, rim: usize) -> Vec<u8> {
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    (top + rim..top + side - rim)
        .flat_map(|y| {
            let start = (y * width + left + rim) * 3;
            &rgb[start..start + (side - 2 * rim) * 3]
        })
        .copied()
        .collect()
}

#[test]
fn the_centred_square_of_any_frame_is_the_square_frame() {
    for (width, height) in [(192_u32, 96_u32), (96, 160)] {
        for index in 0..12 {
            let script = Script::clip(5, index, None);
            let (mut square, mut oblong) = (clean(96, 96), clean(width, height));
            for time_s in [0.0, 0.7, 1.9] {
                let a = middle(square.paint(&script, time_s, 0), 96, 96, 6);
                let b = oblong.paint(&script, time_s, 0);
                let b = middle(b, width as usize, height as usize, 6);
                assert!(largest_step(&a, &b) <= 1, "{width}x{height}, clip {index}");
            }
        }
    }
}

#[test]
fn harder_scenes_show_the_figure_with_less_contrast() {
    let mut rng = Rng::new(1);
    let mut contrast = |difficulty| {
        let gap = |_| {
            let scene = Scene::draw(&mut rng, difficulty);
            (0..3)
                .map(|c| (scene.skin[c] - scene.background[c]).abs())
                .sum::<f32>()
        };
        (0..200).map(gap).sum::<f32>()
    };
    assert!(contrast(0.0) > 2.0 * contrast(1.0));
}

#[test]
fn every_size_down_to_one_pixel_can_be_painted() {
    for (width, height) in [(1, 1), (1, 40), (40, 1), (2, 3), (33, 17)] {
        let mut painter = Painter::new(width, height);
        let script = Script::clip(2, 0, Some(1.0));
        let rgb = painter.paint(&script, 0.5, 0);
        assert_eq!(rgb.len(), (width * height * 3) as usize);
    }
}
