//! Small clips, made byte by byte.

/// A Y4M file of `frames` frames; each holds one value, 16 + its number.
pub fn y4m(header: &str, frame_len: usize, frames: u8) -> Vec<u8> {
    let mut file = format!("YUV4MPEG2 {header}\n").into_bytes();
    for i in 0..frames {
        file.extend(b"FRAME\n");
        file.extend(vec![16 + i; frame_len]);
    }
    file
}

/// Bits, most significant first, with JPEG's zero after each 0xFF.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    byte: u8,
    count: u8,
}

impl Bits {
    fn push(&mut self, value: u16, bits: u8) {
        for shift in (0..bits).rev() {
            self.byte = self.byte << 1 | u8::from(value >> shift & 1 == 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.byte);
                if self.byte == 0xFF {
                    self.bytes.push(0);
                }
                (self.byte, self.count) = (0, 0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.count != 0 {
            self.push(1, 1);
        }
        self.bytes
    }
}

/// A baseline JPEG of one value: grey, or the same in three components.
pub fn jpeg(width: u16, height: u16, value: u8, components: u8) -> Vec<u8> {
    let mut file = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    file.extend([8; 64]);
    file.extend([0xFF, 0xC0, 0, 8 + 3 * components, 8]);
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.push(components);
    for id in 1..=components {
        file.extend([id, 0x11, 0]);
    }
    // DC: nine categories of four bits; AC: the end of a block, one bit.
    file.extend([0xFF, 0xC4, 0, 28, 0, 0, 0, 0, 9]);
    file.extend([0; 12]);
    file.extend(0..=8);
    file.extend([0xFF, 0xC4, 0, 20, 0x10, 1]);
    file.extend([0; 15]);
    file.push(0);
    file.extend([0xFF, 0xDA, 0, 6 + 2 * components, components]);
    for id in 1..=components {
        file.extend([id, 0]);
    }
    file.extend([0, 63, 0]);
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8);
    let mut bits = Bits::default();
    for block in 0..blocks {
        for component in 0..components {
            // Chroma is neutral; every block but the first differs by nothing.
            let level = i16::from(value) - 128;
            let difference = if block == 0 && component == 0 {
                level
            } else {
                0
            };
            let size = u8::try_from(16 - difference.unsigned_abs().leading_zeros()).unwrap();
            bits.push(size.into(), 4);
            let coded = if difference < 0 {
                difference - 1
            } else {
                difference
            };
            bits.push(coded.cast_unsigned() & ((1 << size) - 1), size);
            bits.push(0, 1);
        }
    }
    file.extend(bits.finish());
    file.extend([0xFF, 0xD9]);
    file
}

pub fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = id.to_vec();
    chunk.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    chunk.extend(body);
    if body.len() % 2 == 1 {
        chunk.push(0);
    }
    chunk
}

pub fn list(id: &[u8; 4], kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    let mut body = kind.to_vec();
    body.extend(parts.concat());
    chunk(id, &body)
}

/// The header of an AVI with sound in stream 0 and video in stream 1.
pub fn avi_header(codec: &[u8; 4], width: u32, height: u32, rate: u32, scale: u32) -> Vec<u8> {
    let stream = |kind: &[u8; 4], format: Vec<u8>| {
        let mut header = kind.to_vec();
        header.extend([0; 16]);
        header.extend(scale.to_le_bytes());
        header.extend(rate.to_le_bytes());
        header.extend([0; 28]);
        let parts = [chunk(b"strh", &header), chunk(b"strf", &format)];
        list(b"LIST", b"strl", &parts)
    };
    let mut bitmap = 40_u32.to_le_bytes().to_vec();
    bitmap.extend(width.to_le_bytes());
    bitmap.extend(height.to_le_bytes());
    bitmap.extend([1, 0, 24, 0]);
    bitmap.extend(codec);
    bitmap.extend([0; 20]);
    let parts = [
        chunk(b"avih", &[0; 56]),
        stream(b"auds", vec![0; 18]),
        stream(b"vids", bitmap),
        chunk(b"JUNK", &[0; 5]),
    ];
    list(b"LIST", b"hdrl", &parts)
}

/// A Motion-JPEG AVI at 25 frames a second of these `movi` chunks.
pub fn avi(movi: &[Vec<u8>]) -> Vec<u8> {
    let parts = [
        avi_header(b"MJPG", 24, 16, 25, 1),
        list(b"LIST", b"INFO", &[chunk(b"ISFT", b"test")]),
        list(b"LIST", b"movi", movi),
        chunk(b"idx1", &[0; 32]),
    ];
    list(b"RIFF", b"AVI ", &parts)
}

/// The chunk of one picture of the AVI's video stream.
pub fn picture(jpeg: &[u8]) -> Vec<u8> {
    chunk(b"01dc", jpeg)
}
