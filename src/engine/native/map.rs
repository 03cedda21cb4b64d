//! Feature maps in memory: blocks of as many channels as a vector has lanes,
//! `[block][pixel][lane]`; and the way from and to planar `[channel][pixel]`.

use super::kernels::Offsets;
use super::memory::LINE;

/// Index of a place in the arena.
pub(super) type Slot = usize;

/// A blocked feature map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map {
    pub slot: Slot,
    pub c: usize,
    pub h: usize,
    pub w: usize,
    /// Channels of a block.
    pub lanes: usize,
    /// Elements from block to block.
    pub plane: usize,
}

/// Elements from block to block of `pixels` pixels: whole cache lines, an odd
/// number of them, so that blocks don't compete for the same sets of a cache.
/// One pixel is a plain vector of channels.
pub(super) fn plane(pixels: usize, lanes: usize) -> usize {
    if pixels == 1 {
        return lanes;
    }
    let lines = (pixels * lanes).div_ceil(LINE);
    (lines + usize::from(lines.is_multiple_of(2))) * LINE
}

impl Map {
    /// A map of `c` channels, `h` x `w`, in `slot`.
    pub fn new(slot: Slot, (c, h, w): (usize, usize, usize), lanes: usize) -> Self {
        Self {
            slot,
            c,
            h,
            w,
            lanes,
            plane: plane(h * w, lanes),
        }
    }

    /// Blocks of channels.
    pub fn blocks(&self) -> usize {
        self.c.div_ceil(self.lanes)
    }

    /// Pixels of a channel.
    pub fn pixels(&self) -> usize {
        self.h * self.w
    }

    /// Elements, padding included.
    pub fn len(&self) -> usize {
        self.blocks() * self.plane
    }

    /// Where each pixel is in a block.
    pub fn offsets(&self) -> Offsets {
        let lanes = self.lanes;
        Offsets::new(
            (0..self.pixels())
                .filter_map(|p| u32::try_from(p * lanes).ok())
                .collect(),
        )
    }

    /// Fills the map from planar values; padding lanes become 0.
    pub fn read_planar(&self, planar: &[f32], map: &mut [f32]) {
        let pixels = self.pixels();
        let groups = planar.chunks(pixels * self.lanes);
        for (group, block) in groups.zip(map.chunks_mut(self.plane)) {
            let block = &mut block[..pixels * self.lanes];
            if group.len() < block.len() {
                block.fill(0.0);
            }
            for (c, channel) in group.chunks_exact(pixels).enumerate() {
                let places = block[c..].iter_mut().step_by(self.lanes);
                for (to, from) in places.zip(channel) {
                    *to = *from;
                }
            }
        }
    }

    /// Writes the map's real channels as planar values.
    pub fn write_planar(&self, map: &[f32], planar: &mut [f32]) {
        let pixels = self.pixels();
        let groups = planar.chunks_mut(pixels * self.lanes);
        for (group, block) in groups.zip(map.chunks(self.plane)) {
            for (c, channel) in group.chunks_exact_mut(pixels).enumerate() {
                let values = block[c..].iter().step_by(self.lanes);
                for (to, from) in channel.iter_mut().zip(values) {
                    *to = *from;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planar_values_come_back() {
        for (lanes, shape) in [
            (16, (24, 5, 3)),
            (8, (3, 1, 1)),
            (4, (4, 2, 2)),
            (16, (16, 1, 4)),
        ] {
            let map = Map::new(0, shape, lanes);
            let len = shape.0 * shape.1 * shape.2;
            let planar: Vec<f32> = (0..u16::try_from(len).unwrap()).map(f32::from).collect();
            let mut blocked = vec![f32::NAN; map.len()];
            map.read_planar(&planar, &mut blocked);
            let lane = blocked[(shape.1 * shape.2 - 1) * lanes + 1];
            assert_eq!(
                lane,
                planar[2 * shape.1 * shape.2 - 1],
                "second channel, last pixel"
            );
            let mut back = vec![f32::NAN; len];
            map.write_planar(&blocked, &mut back);
            assert_eq!(back, planar);
        }
    }
}
