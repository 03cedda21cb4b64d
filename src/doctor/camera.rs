//! Cameras: which nodes there are, and whether this process may open them.

use super::{Check, Host, State, Subject};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Whether cameras can be opened.
pub(super) fn camera(subject: &Subject<'_>) -> Check {
    const ID: &str = "camera";
    const WHY: &str = "frames come from a video node, and its file has to be ours to open";
    let nodes = nodes(&subject.host);
    let shut = nodes
        .iter()
        .find_map(|node| Some((node, open(node).err()?)));
    match shut {
        None if nodes.is_empty() => Check::new(ID, WHY, State::NotApplicable, "no /dev/video*"),
        None => {
            let names: Vec<String> = nodes.iter().map(|n| n.display().to_string()).collect();
            Check::new(ID, WHY, State::Ok, names.join(", "))
        }
        Some((node, error)) => {
            let found = format!("{}: {error}", node.display());
            Check::new(ID, WHY, State::Warn, found).fix(admit(node))
        }
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

/// Opens a node as a source does, and closes it.
fn open(node: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK);
    options.open(node).map(drop)
}

/// The command that lets this user open `node`.
fn admit(node: &Path) -> String {
    const GROUP_READS_AND_WRITES: u32 = 0o060;
    let Ok(meta) = node.metadata() else {
        return format!("ls -l {}", node.display());
    };
    let group = nix::unistd::Group::from_gid(meta.gid().into())
        .ok()
        .flatten();
    let group = group.map_or_else(|| meta.gid().to_string(), |group| group.name);
    let open_to_group = meta.mode() & GROUP_READS_AND_WRITES == GROUP_READS_AND_WRITES;
    if open_to_group && meta.gid() != 0 {
        return format!("sudo usermod -aG {group} \"$(id -un)\" # then log in again");
    }
    format!(
        "sudo chgrp video {node} && sudo chmod 660 {node} && sudo usermod -aG video \"$(id -un)\" # then log in again",
        node = node.display()
    )
}
