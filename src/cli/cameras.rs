//! `e4 cameras`: which cameras there are, and what they offer.
//!
//! Standard output carries the list; `--json` makes it `{"devices": [...]}`.

use super::complain;
use crate::source::v4l2::{FormatListing, Listing, RateListing, SizeListing, list, rate};
use clap::Args;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// What to list, and how.
#[derive(Clone, Debug, Args)]
pub struct Cameras {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(serde::Serialize)]
struct Devices {
    devices: Vec<Listing>,
}

impl Cameras {
    /// Lists the cameras; returns the exit code. None at all is no failure.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let devices = list();
        if devices.is_empty() {
            complain("e4 cameras", &"there is no camera that we may open");
        }
        let text = if self.json {
            serde_json::to_string_pretty(&Devices { devices }).map(|text| text + "\n")
        } else {
            Ok(devices.iter().map(describe).collect())
        };
        match text.map_err(io::Error::from).and_then(|text| put(&text)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain("e4 cameras", &format_args!("standard output: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// A reader that has gone is content.
fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn describe(camera: &Listing) -> String {
    let mut text = format!(
        "{} ({})\n  {}",
        camera.card,
        camera.bus,
        camera.path.display()
    );
    let serial = camera
        .serial
        .iter()
        .map(|serial| format!("serial {serial}"));
    let links = camera.by_id.iter().map(|link| link.display().to_string());
    for name in serial.chain(links) {
        let _ = write!(text, "  {name}");
    }
    text.push('\n');
    for format in &camera.formats {
        text.push_str(&format_lines(format));
    }
    text
}

fn format_lines(format: &FormatListing) -> String {
    let usable = if format.usable {
        ""
    } else {
        "  (e4 cannot use it)"
    };
    let mut text = format!("    {}  {}{usable}\n", format.fourcc, format.description);
    for size in &format.sizes {
        let (name, rates) = match size {
            SizeListing::Discrete {
                width,
                height,
                rates,
            } => (format!("{width}x{height}"), rates),
            SizeListing::Stepwise {
                min,
                max,
                step,
                rates,
            } => (
                format!(
                    "{}x{} to {}x{} in steps of {}x{}",
                    min[0], min[1], max[0], max[1], step[0], step[1]
                ),
                rates,
            ),
        };
        let rates: Vec<_> = rates.iter().map(rate_words).collect();
        let _ = writeln!(text, "      {name}  {} fps", rates.join(", "));
    }
    text
}

fn rate_words(listed: &RateListing) -> String {
    match listed {
        RateListing::Discrete { fps, .. } => rate(*fps),
        RateListing::Stepwise { min_fps, max_fps } => {
            format!("{} to {}", rate(*min_fps), rate(*max_fps))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_reads_as_one_block() {
        let camera = Listing {
            path: "/dev/video0".into(),
            card: "C920".into(),
            driver: "uvcvideo".into(),
            bus: "usb-1".into(),
            serial: Some("A1".into()),
            by_id: vec!["/dev/v4l/by-id/usb-C920".into()],
            multiplanar: false,
            formats: vec![FormatListing {
                fourcc: "H264".into(),
                description: "H.264".into(),
                compressed: true,
                emulated: false,
                usable: false,
                sizes: vec![SizeListing::Discrete {
                    width: 640,
                    height: 480,
                    rates: vec![
                        RateListing::Discrete {
                            fps: 30.0,
                            interval: [1, 30],
                        },
                        RateListing::Stepwise {
                            min_fps: 1.0,
                            max_fps: 7.5,
                        },
                    ],
                }],
            }],
        };
        assert_eq!(
            describe(&camera),
            "C920 (usb-1)\n  /dev/video0  serial A1  /dev/v4l/by-id/usb-C920\n    H264  H.264  (e4 cannot use it)\n      640x480  30, 1 to 7.5 fps\n"
        );
    }
}
