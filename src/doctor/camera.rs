//! Cameras: whether the one that is asked for is there, may be opened and has a
//! format that is asked for.

use super::host::quoted;
use super::{Check, Host, State, Subject};
use crate::config::SourceKind;
use crate::source::v4l2::{self, Listing, Selector};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Whether frames can come from a camera.
pub(super) fn camera(subject: &Subject<'_>) -> Check {
    let asked = subject.config.source.kind == SourceKind::Camera;
    match (asked, subject.host.is_real()) {
        (false, _) => all(&subject.host, State::NotApplicable, State::Warn),
        (true, false) => all(&subject.host, State::Fail, State::Fail),
        (true, true) => chosen(subject),
    }
}

fn row(state: State, found: impl Into<String>) -> Check {
    const WHY: &str = "frames come from a video node: it has to be there, ours to open, and of a format that is asked for";
    Check::new("camera", WHY, state, found)
}

/// Whether every node there is can be opened; the states for none and for one
/// that cannot be.
fn all(host: &Host, none: State, shut: State) -> Check {
    const LIST: &str = "e4 cameras # lists what is there";
    let nodes = nodes(host);
    if nodes.is_empty() {
        let check = row(none, "no /dev/video*");
        return match none {
            State::Fail => check.fix(LIST),
            _ => check,
        };
    }
    if let Some((node, error)) = first_shut(&nodes) {
        return row(shut, format!("{}: {error}", node.display())).fix(admit(node));
    }
    let names: Vec<String> = nodes.iter().map(|n| n.display().to_string()).collect();
    row(State::Ok, names.join(", "))
}

/// The camera that the configuration means.
fn chosen(subject: &Subject<'_>) -> Check {
    let settings = &subject.config.source.camera;
    let device = settings.device.as_ref().map(|name| name.0.as_str());
    let selector = Selector::new(device);
    let listing = match v4l2::find(&selector) {
        Ok(listing) => listing,
        Err(error) => return not_to_be_had(&subject.host, &selector, &error.to_string()),
    };
    let wanted = settings.formats.list();
    let wanted: Vec<String> = wanted
        .iter()
        .flat_map(|format| format.codes())
        .map(|code| code.to_string())
        .collect();
    let offered: Vec<&str> = listing.formats.iter().map(|f| f.fourcc.as_str()).collect();
    let common: Vec<&str> = wanted
        .iter()
        .map(String::as_str)
        .filter(|code| offered.contains(code))
        .collect();
    let name = format!("{} ({})", listing.card, listing.path.display());
    if common.is_empty() {
        let found = format!(
            "{name} offers none of the formats that are asked for: {}",
            offered.join(", ")
        );
        return row(State::Fail, found).fix("e4 run --camera-formats auto");
    }
    match in_use(&listing) {
        Some(holders) => {
            let found = format!("{name} is open in {holders}; two cannot stream from it");
            row(State::Warn, found).fix(format!(
                "fuser -v {} # and end what holds it",
                quoted(&listing.path)
            ))
        }
        None => row(State::Ok, format!("{name}: {}", common.join(", "))),
    }
}

fn in_use(listing: &Listing) -> Option<String> {
    let holders = v4l2::holders(&listing.path);
    (!holders.is_empty()).then(|| holders.join(", "))
}

fn not_to_be_had(host: &Host, selector: &Selector, reason: &str) -> Check {
    let nodes = match selector {
        Selector::Path(path) => vec![path.clone()],
        Selector::Any | Selector::Name(_) => nodes(host),
    };
    let found = format!("{}: {reason}", selector.name());
    match first_shut(&nodes).filter(|(_, error)| error.kind() == io::ErrorKind::PermissionDenied) {
        Some((node, error)) => {
            row(State::Fail, format!("{found}; {}: {error}", node.display())).fix(admit(node))
        }
        None => row(State::Fail, found)
            .fix("e4 cameras # lists those that are there; name one with --device"),
    }
}

/// The host's video nodes.
fn nodes(host: &Host) -> Vec<PathBuf> {
    let names = host.names("/dev").into_iter();
    let video = names.filter(|name| {
        let number = name.strip_prefix("video");
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    video
        .map(|name| host.path(format!("/dev/{name}")))
        .collect()
}

/// The first node that does not open as a source opens it.
fn first_shut(nodes: &[PathBuf]) -> Option<(&Path, io::Error)> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK);
    nodes
        .iter()
        .find_map(|node| Some((node.as_path(), options.open(node).err()?)))
}

/// The command that lets this user open `node`.
fn admit(node: &Path) -> String {
    const GROUP_READS_AND_WRITES: u32 = 0o060;
    let name = quoted(node);
    let Ok(meta) = node.metadata() else {
        return format!("ls -l {name}");
    };
    let open_to_group = meta.mode() & GROUP_READS_AND_WRITES == GROUP_READS_AND_WRITES;
    if open_to_group && meta.gid() != 0 {
        let group = nix::unistd::Group::from_gid(meta.gid().into());
        let group = group.ok().flatten().map(|group| group.name);
        let group = group.unwrap_or_else(|| meta.gid().to_string());
        return format!("sudo usermod -aG {group} \"$(id -un)\" # then log in again");
    }
    format!(
        "sudo chgrp video {name} && sudo chmod 660 {name} && sudo usermod -aG video \"$(id -un)\" # then log in again"
    )
}
