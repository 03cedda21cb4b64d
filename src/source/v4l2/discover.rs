//! Which cameras there are, and which of them is the one that was asked for.
//!
//! Guarantees: finds every capture node under `/dev`, with or without udev and
//! sysfs; a camera is known again by what it says about itself (bus and card, or
//! its serial number), not by the number of its node. Not guaranteed: to tell
//! apart two cameras of one model without serial numbers that swapped ports.
//! Costs one open and one call a node.

use super::abi::{self, BufType};
use super::node::Node;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where nodes and their stable names are.
const DEV: &str = "/dev";
const BY_ID: &str = "/dev/v4l/by-id";

/// Who a camera is, whatever its node is called today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the driver.
    pub driver: String,
    /// Name of the device.
    pub card: String,
    /// Where it is plugged in.
    pub bus: String,
    /// Its serial number, where the bus tells one.
    pub serial: Option<String>,
    /// Which of the device's nodes it is.
    pub index: Option<u32>,
}

impl Identity {
    /// Whether `other` is the same camera: at the same place, or with the same
    /// serial number at another.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let alike = self.driver == other.driver && self.card == other.card;
        let same_serial = self.serial.is_some() && self.serial == other.serial;
        let other_serial = self.serial.is_some() && other.serial.is_some() && !same_serial;
        let same_node = self.index == other.index || self.index.is_none() || other.index.is_none();
        alike && same_node && (same_serial || (self.bus == other.bus && !other_serial))
    }
}

/// A capture node.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its path.
    pub path: PathBuf,
    /// Who it is.
    pub identity: Identity,
    /// Its queue.
    pub buf_type: BufType,
    /// Its links under `/dev/v4l/by-id`.
    pub by_id: Vec<PathBuf>,
}

/// Why a node is no camera for us.
#[derive(Debug, thiserror::Error)]
pub enum NotACamera {
    /// It cannot be opened or asked.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("{0}")]
    Kind(&'static str),
}

/// Opens `path` and asks who it is.
///
/// # Errors
/// When it is not there, or no camera that streams.
pub fn open(path: &Path) -> Result<(Node, Found), NotACamera> {
    if !fs::metadata(path)?.file_type().is_char_device() {
        return Err(NotACamera::Kind("it is not a device"));
    }
    let node = Node::open(path)?;
    let cap = node.capability().map_err(|errno| match errno {
        nix::errno::Errno::ENOTTY | nix::errno::Errno::EINVAL => {
            NotACamera::Kind("it is not a video device")
        }
        other => NotACamera::Io(other.into()),
    })?;
    let caps = if cap.capabilities & abi::CAP_DEVICE_CAPS == 0 {
        cap.capabilities
    } else {
        cap.device_caps
    };
    let buf_type = if caps & abi::CAP_VIDEO_CAPTURE_MPLANE != 0 {
        BufType::CaptureMplane
    } else if caps & abi::CAP_VIDEO_CAPTURE != 0 {
        BufType::Capture
    } else {
        return Err(NotACamera::Kind("it does not capture video"));
    };
    if caps & abi::CAP_STREAMING == 0 {
        return Err(NotACamera::Kind("it does not stream"));
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let sysfs = real.file_name().map(|name| {
        let mut folder = PathBuf::from("/sys/class/video4linux");
        folder.push(name);
        folder
    });
    let read = |file: &str| {
        let text = fs::read_to_string(sysfs.as_ref()?.join(file)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let identity = Identity {
        driver: text(&cap.driver),
        card: text(&cap.card),
        bus: text(&cap.bus_info),
        serial: read("device/../serial"),
        index: read("index").and_then(|index| index.parse().ok()),
    };
    let found = Found {
        by_id: links_to(&real),
        path: path.to_owned(),
        identity,
        buf_type,
    };
    Ok((node, found))
}

/// Text of the kernel up to its zero.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn links_to(node: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(BY_ID) else {
        return Vec::new();
    };
    let mut links: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|link| fs::canonicalize(link).is_ok_and(|target| target == node))
        .collect();
    links.sort();
    links
}

/// Paths of the video nodes, by number.
fn nodes() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(DEV) else {
        return Vec::new();
    };
    let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
    let mut numbered: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, path)| path).collect()
}

/// Every camera there is, by the number of its node.
#[must_use]
pub fn cameras() -> Vec<Found> {
    let found = nodes().into_iter().filter_map(|path| open(&path).ok());
    found.map(|(_, found)| found).collect()
}

/// How a camera is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The first there is.
    Any,
    /// By a path: a node, or a link to one.
    Path(PathBuf),
    /// By name: that of the card, its bus, its serial number, or its link under
    /// `/dev/v4l/by-id`.
    Name(String),
}

impl Selector {
    /// What the user wrote: a path has a slash.
    #[must_use]
    pub fn new(text: Option<&str>) -> Self {
        match text {
            None => Self::Any,
            Some(path) if path.contains('/') => Self::Path(path.into()),
            Some(name) => Self::Name(name.to_owned()),
        }
    }

    /// For people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Any => "camera".to_owned(),
            Self::Path(path) => path.display().to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// Whether a name means this camera.
fn is_called(found: &Found, name: &str) -> bool {
    let Identity {
        card, bus, serial, ..
    } = &found.identity;
    let linked = |link: &PathBuf| link.file_name().is_some_and(|file| file == name);
    card == name || bus == name || serial.as_deref() == Some(name) || found.by_id.iter().any(linked)
}

/// Why a camera cannot be had by its selector.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// None there; it may come.
    #[error("{0}")]
    Absent(String),
    /// What is there will not do.
    #[error("{0}")]
    Wrong(String),
}

/// Opens the camera that `selector` means, or, once it is `known`, that one,
/// wherever it is now.
///
/// # Errors
/// When it is not there, cannot be used, or two go by the name.
pub fn select(selector: &Selector, known: Option<&Identity>) -> Result<(Node, Found), SelectError> {
    if let Some(known) = known {
        return again(selector, known);
    }
    match selector {
        Selector::Path(path) => open(path).map_err(|error| match error {
            NotACamera::Io(error) if is_absence(&error) => {
                SelectError::Absent("no such device".to_owned())
            }
            NotACamera::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                SelectError::Wrong(FORBIDDEN.to_owned())
            }
            other => SelectError::Wrong(other.to_string()),
        }),
        Selector::Any => match cameras().first() {
            None if forbidden() => Err(SelectError::Wrong(FORBIDDEN.to_owned())),
            first => reopen(first, "there is no camera"),
        },
        Selector::Name(name) => {
            let mut called = cameras();
            called.retain(|found| is_called(found, name));
            let mut buses: Vec<_> = called.iter().map(|f| f.identity.bus.clone()).collect();
            buses.sort();
            buses.dedup();
            if buses.len() > 1 {
                return Err(SelectError::Wrong(format!(
                    "more than one camera goes by that name; take one of the buses {}",
                    buses.join(", ")
                )));
            }
            reopen(
                called.first(),
                "no camera of that name, bus or serial number",
            )
        }
    }
}

const FORBIDDEN: &str =
    "permission denied; add the user to the group video (usermod -aG video USER)";

/// Whether there are nodes that we may not open.
fn forbidden() -> bool {
    let denied = |path: PathBuf| match open(&path) {
        Err(NotACamera::Io(error)) => error.kind() == io::ErrorKind::PermissionDenied,
        _ => false,
    };
    nodes().into_iter().any(denied)
}

/// The camera seen before: by its path first, which is most often right.
fn again(selector: &Selector, known: &Identity) -> Result<(Node, Found), SelectError> {
    if let Selector::Path(path) = selector
        && let Ok((node, found)) = open(path)
        && known.is(&found.identity)
    {
        return Ok((node, found));
    }
    let found = cameras().into_iter().find(|f| known.is(&f.identity));
    reopen(found.as_ref(), "it is not there")
}

fn reopen(found: Option<&Found>, absent: &str) -> Result<(Node, Found), SelectError> {
    let absent = || SelectError::Absent(absent.to_owned());
    open(&found.ok_or_else(absent)?.path).map_err(|_| absent())
}

/// Whether an error says that nothing is there.
#[must_use]
pub fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO)
    )
}

/// The other processes that have the device open, as `pid (name)`, as far as we
/// may see them.
#[must_use]
pub fn holders(path: &Path) -> Vec<String> {
    let Ok(device) = fs::metadata(path).map(|meta| meta.rdev()) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let own = std::process::id();
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut pids: Vec<_> = pids
        .filter(|&pid| pid != own && has_open(pid, device))
        .collect();
    pids.sort_unstable();
    let named = |pid: u32| match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("{pid} ({})", name.trim()),
        Err(_) => pid.to_string(),
    };
    pids.into_iter().map(named).collect()
}

fn has_open(pid: u32, device: u64) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| {
        fds.flatten().any(|fd| {
            fs::metadata(fd.path())
                .is_ok_and(|meta| meta.rdev() == device && meta.file_type().is_char_device())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(card: &str, bus: &str, serial: Option<&str>) -> Identity {
        Identity {
            driver: "uvcvideo".into(),
            card: card.into(),
            bus: bus.into(),
            serial: serial.map(Into::into),
            index: Some(0),
        }
    }

    #[test]
    fn a_camera_is_known_by_its_place_or_its_serial_number() {
        let c920 = camera("C920", "usb-1", Some("A1"));
        assert!(c920.is(&camera("C920", "usb-1", Some("A1"))));
        assert!(c920.is(&camera("C920", "usb-2", Some("A1"))), "moved");
        assert!(!c920.is(&camera("C920", "usb-1", Some("B2"))), "swapped");
        assert!(!c920.is(&camera("C930", "usb-1", Some("A1"))));
        let plain = camera("vivid", "platform:vivid-000", None);
        assert!(plain.is(&plain.clone()));
        assert!(!plain.is(&camera("vivid", "platform:vivid-001", None)));
        let mut meta = plain.clone();
        meta.index = Some(1);
        assert!(!plain.is(&meta), "another node of the same device");
    }

    #[test]
    fn a_name_is_a_card_a_bus_a_serial_number_or_a_link() {
        let found = Found {
            path: "/dev/video0".into(),
            identity: camera("C920", "usb-1", Some("A1")),
            buf_type: BufType::Capture,
            by_id: vec!["/dev/v4l/by-id/usb-C920-video-index0".into()],
        };
        for name in ["C920", "usb-1", "A1", "usb-C920-video-index0"] {
            assert!(is_called(&found, name), "{name}");
        }
        assert!(!is_called(&found, "video0"));
    }

    #[test]
    fn what_is_no_camera_says_so() {
        let wrong = |path: &str| {
            let selector = Selector::new(Some(path));
            select(&selector, None).unwrap_err().to_string()
        };
        assert_eq!(wrong("/dev/no-such-camera"), "no such device");
        assert_eq!(wrong("/dev/null"), "it is not a video device");
        assert_eq!(wrong("/etc"), "it is not a device");
    }

    #[test]
    fn the_holder_of_a_device_is_found_by_its_pid() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .stdin(std::fs::File::open("/dev/zero").unwrap())
            .spawn()
            .unwrap();
        let wanted = format!("{} (sleep)", child.id());
        // The child's name is its own once it runs the program.
        let seen = (0..100).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            holders(Path::new("/dev/zero")).contains(&wanted)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen, "{wanted}");
    }
}
