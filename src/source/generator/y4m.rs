//! Writes YUV4MPEG2 files: 4:2:0 with centred chroma, BT.601 limited range.

use std::io::{self, Write};

/// Writes a Y4M stream frame by frame.
#[derive(Debug)]
pub struct Y4mWriter<W: Write> {
    to: W,
}

impl<W: Write> Y4mWriter<W> {
    /// Writes the header; `fps` is frames, and the seconds that they take.
    ///
    /// # Errors
    /// What `to` reports.
    pub fn new(mut to: W, width: u32, height: u32, fps: (u32, u32)) -> io::Result<Self> {
        let (frames, seconds) = fps;
        writeln!(
            to,
            "YUV4MPEG2 W{width} H{height} F{frames}:{seconds} Ip A1:1 C420jpeg XCOLORRANGE=LIMITED"
        )?;
        Ok(Self { to })
    }

    /// Writes one frame in [`PixelFormat::I420`](crate::tensor::PixelFormat).
    ///
    /// # Errors
    /// What the stream reports.
    pub fn frame(&mut self, i420: &[u8]) -> io::Result<()> {
        self.to.write_all(b"FRAME\n")?;
        self.to.write_all(i420)
    }

    /// Flushes and gives the stream back.
    ///
    /// # Errors
    /// What the stream reports.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}
