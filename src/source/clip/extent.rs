//! How long a file says that it is.
//!
//! Guarantees: for the containers that state their own length (RIFF with its
//! OpenDML parts, MP4 and its kin by their boxes, Matroska by its segment,
//! MPEG-TS by its packets, JPEG by its last mark) a file that ends before it says so is told, whatever
//! a decoder makes of it; any bytes whatever end in an answer. Not guaranteed:
//! a length that the writer left open, and other containers.
//! Cost: one small read for each part of the file, at most [`MAX_PARTS`]; of
//! pictures, the last 64 KiB.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Most parts that are looked at.
const MAX_PARTS: usize = 1 << 16;
/// Enough for any part's header.
const HEAD: usize = 64;
/// Bytes of a packet of MPEG-TS, each of which begins with [`TS_SYNC`].
const TS_PACKET: u64 = 188;
const TS_SYNC: u8 = 0x47;
/// Names that a file of boxes may begin with, or have at its top.
const BOXES: [&[u8; 4]; 18] = [
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx", b"ssix",
    b"moof", b"mfra", b"meta", b"uuid", b"udta", b"emsg", b"prft", b"pdin",
];
const EBML: [u8; 4] = [0x1A, 0x45, 0xDF, 0xA3];
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];

/// What `path` lacks at its end by its own account, as half a sentence; `None`
/// where it lacks nothing or does not tell.
pub(super) fn early_end(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(None);
    }
    if ends_in_a_picture(&mut file, meta.len())? {
        return Ok(Some("ends within a picture".into()));
    }
    let missing = missing(&mut file, meta.len())?;
    Ok((missing > 0).then(|| format!("ends {missing} bytes early")))
}

/// Whether a file of JPEG pictures lacks the mark that ends the last of them.
fn ends_in_a_picture(file: &mut (impl Read + Seek), len: u64) -> io::Result<bool> {
    const BEGIN: [u8; 2] = [0xFF, 0xD8];
    const END: [u8; 2] = [0xFF, 0xD9];
    /// What may follow the end of a picture, and more.
    const TAIL: u64 = 64 << 10;
    if !read_at(file, 0)?.starts_with(&BEGIN) {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.by_ref().take(TAIL).read_to_end(&mut tail)?;
    let last = |mark: [u8; 2]| tail.windows(2).rposition(|pair| pair == mark);
    Ok(match (last(BEGIN), last(END)) {
        (Some(begin), Some(end)) => begin > end,
        (_, end) => end.is_none(),
    })
}

fn missing(file: &mut (impl Read + Seek), len: u64) -> io::Result<u64> {
    let head = read_at(file, 0)?;
    let end = match &head[..4] {
        b"RIFF" => riff_end(file, len)?,
        _ if head[..4] == EBML => segment_end(file, &head)?,
        _ if is_box(&head) => boxes_end(file, len)?,
        [TS_SYNC, ..] => packets_end(file, len)?,
        _ => len,
    };
    Ok(end.saturating_sub(len))
}

/// The first bytes from `at` on; zeros behind the end.
fn read_at(file: &mut (impl Read + Seek), at: u64) -> io::Result<[u8; HEAD]> {
    let mut bytes = [0; HEAD];
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while filled < HEAD {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// End of the last RIFF part, without the byte that makes it even.
fn riff_end(file: &mut (impl Read + Seek), len: u64) -> io::Result<u64> {
    let mut at = 0;
    for _ in 0..MAX_PARTS {
        let head = read_at(file, at)?;
        let size = le32(&head, 4);
        if !head.starts_with(b"RIFF") || size == 0 || size == u32::MAX {
            return Ok(len);
        }
        let end = at + 8 + u64::from(size);
        let next = end + u64::from(size & 1);
        if next >= len {
            // What would make it even may be missing, and one byte with it.
            return Ok(if end <= len + 1 { len } else { end });
        }
        at = next;
    }
    Ok(len)
}

fn is_box(head: &[u8]) -> bool {
    BOXES.iter().any(|name| head.get(4..8) == Some(&name[..]))
}

/// End of the last box at the top of the file.
fn boxes_end(file: &mut (impl Read + Seek), len: u64) -> io::Result<u64> {
    let mut at = 0_u64;
    for _ in 0..MAX_PARTS {
        let head = read_at(file, at)?;
        let size = match be32(&head, 0) {
            1 => u64::from(be32(&head, 8)) << 32 | u64::from(be32(&head, 12)),
            size => u64::from(size),
        };
        // Zero is a box up to the end; less than a header is none.
        let Some(end) = at.checked_add(size).filter(|_| size >= 8) else {
            return Ok(len);
        };
        if end >= len {
            return Ok(if is_box(&head) { end } else { len });
        }
        at = end;
    }
    Ok(len)
}

/// End of the segment behind the EBML header.
fn segment_end(file: &mut (impl Read + Seek), head: &[u8]) -> io::Result<u64> {
    const OPEN: u64 = 0;
    let Some((size, bytes)) = vint(&head[4..]) else {
        return Ok(OPEN);
    };
    let Some(at) = size.checked_add(4 + bytes) else {
        return Ok(OPEN);
    };
    let segment = read_at(file, at)?;
    Ok(match vint(&segment[4..]) {
        Some((size, bytes)) if segment[..4] == SEGMENT => {
            at.saturating_add(4 + bytes).saturating_add(size)
        }
        _ => OPEN,
    })
}

/// A number of EBML and the bytes it takes; `None` for one that is left open.
fn vint(bytes: &[u8]) -> Option<(u64, u64)> {
    let first = *bytes.first()?;
    let width = first.leading_zeros() + 1;
    let rest = bytes.get(1..width as usize)?;
    // The marker goes; a first byte of zero has no width of eight or less.
    let first = u64::from(first) & (0xFF_u64.checked_shr(width).filter(|_| width <= 8)?);
    let value = rest
        .iter()
        .fold(first, |value, &byte| value << 8 | u64::from(byte));
    let open = (1_u64 << (7 * width)) - 1;
    (value != open).then_some((value, u64::from(width)))
}

/// End of the packet that the file ends in.
fn packets_end(file: &mut (impl Read + Seek), len: u64) -> io::Result<u64> {
    for packet in 1..4 {
        // Other files begin with this byte, too.
        if read_at(file, packet * TS_PACKET)?[0] != TS_SYNC {
            return Ok(len);
        }
    }
    Ok(len.next_multiple_of(TS_PACKET))
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    field(bytes, at).map_or(0, u32::from_le_bytes)
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    field(bytes, at).map_or(0, u32::from_be_bytes)
}

fn field(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn lacks(bytes: &[u8]) -> u64 {
        missing(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    fn atom(name: &[u8; 4], body: usize) -> Vec<u8> {
        let size = u32::try_from(8 + body).unwrap().to_be_bytes();
        [&size[..], name, &vec![7; body]].concat()
    }

    /// A whole file of each kind, and the first length at which a cut shows.
    fn files() -> Vec<(Vec<u8>, usize)> {
        let part = |kind: &[u8; 4], body: usize| {
            let size = u32::try_from(4 + body).unwrap().to_le_bytes();
            [b"RIFF", &size[..], kind, &vec![9; body]].concat()
        };
        let avi = [part(b"AVI ", 300), part(b"AVIX", 100)].concat();
        let mp4 = [atom(b"ftyp", 16), atom(b"moov", 90), atom(b"mdat", 200)].concat();
        let long = [
            &atom(b"ftyp", 16)[..],
            &[0, 0, 0, 1],
            b"mdat",
            &216_u64.to_be_bytes(),
            &[3; 200],
        ]
        .concat();
        let mkv = [&EBML[..], &[0x82, 1, 2], &SEGMENT, &[0x40, 200], &[5; 200]].concat();
        vec![(avi, 330), (mp4, 140), (long, 50), (mkv, 20)]
    }

    #[test]
    fn a_whole_file_lacks_nothing_and_a_cut_one_what_was_cut() {
        for (file, first) in files() {
            assert_eq!(lacks(&file), 0);
            for len in first..file.len() - 1 {
                assert_eq!(lacks(&file[..len]), (file.len() - len) as u64, "{len}");
            }
            assert_eq!(lacks(&[&file[..], b"more words than a header"].concat()), 0);
        }
    }

    #[test]
    fn packets_are_counted_whole() {
        let mut stream = vec![0; 188 * 4];
        stream.iter_mut().step_by(188).for_each(|b| *b = TS_SYNC);
        assert_eq!(lacks(&stream), 0);
        assert_eq!(lacks(&stream[..700]), 52);
        assert_eq!(lacks(b"GIF89a"), 0);
        stream[376] = 0;
        assert_eq!(lacks(&stream[..700]), 0);
    }

    #[test]
    fn a_picture_needs_the_mark_that_ends_it() {
        let picture = [&[0xFF, 0xD8, 0xFF, 0xE0][..], &[7; 90], &[0xFF, 0xD9]].concat();
        let cut =
            |bytes: &[u8]| ends_in_a_picture(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(!cut(&picture) && cut(&picture[..60]) && cut(&picture[..95]));
        assert!(!cut(&[&picture[..], &[0; 20]].concat()));
        let two = [&picture[..], &picture].concat();
        assert!(!cut(&two) && cut(&two[..150]));
        assert!(!cut(b"words") && !cut(b""));
    }

    #[test]
    fn a_length_that_was_left_open_is_no_length() {
        for file in [
            [b"RIFF", &[0; 4][..], b"AVI ", &[1; 40]].concat(),
            [b"RIFF", &[0xFF; 4][..], b"AVI ", &[1; 40]].concat(),
            [&atom(b"ftyp", 8)[..], &[0; 4], b"mdat", &[1; 40]].concat(),
            [
                &EBML[..],
                &[0x81, 1],
                &SEGMENT,
                &[0x01],
                &[0xFF; 7],
                &[1; 40],
            ]
            .concat(),
            b"words".to_vec(),
            Vec::new(),
        ] {
            assert_eq!(lacks(&file), 0, "{file:?}");
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_end_in_an_answer(
            which in 0_usize..4,
            flips in prop::collection::vec((0_usize..500, any::<u8>()), 0..12),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let (mut file, _) = files().swap_remove(which);
            for (at, value) in flips {
                let at = at % file.len();
                file[at] = value;
            }
            lacks(&file);
            let picture = [&[0xFF, 0xD8][..], &noise].concat();
            ends_in_a_picture(&mut Cursor::new(&picture), picture.len() as u64).unwrap();
            lacks(&[&file[..8], &noise].concat());
            lacks(&noise);
        }
    }
}
