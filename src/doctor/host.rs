//! The host as its files show it: the real one, or a folder that looks like one.

use crate::rt;
use std::fs;
use std::path::{Path, PathBuf};

/// Where `proc`, `sys`, `dev` and the libraries are looked for.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// This host.
    #[must_use]
    pub fn this() -> Self {
        Self { root: "/".into() }
    }

    /// The host whose `proc`, `sys`, `dev` and `usr` lie under `root`. Its files are
    /// read; the kernel is asked for nothing.
    #[must_use]
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether the kernel can be asked as well.
    pub(super) fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where the host's `path` is.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text without the blanks around it, where it can be read.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.path(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Names in a folder, sorted; those with numbers at their end by number.
    pub(super) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort_by_cached_key(|name| {
            let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            (name[..stem].to_owned(), name[stem..].parse::<u64>().ok())
        });
        names
    }

    /// The soft limit of a line in `/proc/self/limits`; `u64::MAX` for unlimited.
    pub(super) fn limit(&self, name: &str) -> Option<u64> {
        let text = self.read("/proc/self/limits")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        match line.split_whitespace().next()? {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        }
    }

    /// Cores that a thread may be pinned to, in the order of their use.
    pub(super) fn usable_cores(&self) -> Vec<usize> {
        if self.is_real() {
            return rt::usable_cores();
        }
        let cpu = |name: &str| self.read(format!("/sys/devices/system/cpu/{name}"));
        let list = |text: Option<String>| rt::parse_list(&text.unwrap_or_default());
        let status = self.read("/proc/self/status").unwrap_or_default();
        let allowed = status
            .lines()
            .find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
        let (online, isolated) = (list(cpu("online")), list(cpu("isolated")));
        match allowed {
            Some(text) => rt::usable(&rt::parse_list(text), &online, &isolated),
            None => online,
        }
    }

    /// The command that adds `argument` to the kernel's command line.
    pub(super) fn kernel_argument(&self, argument: &str) -> String {
        let loaders = [
            (
                "/boot/extlinux/extlinux.conf",
                "/^[[:space:]]*APPEND /s/$/ {}/",
                "",
            ),
            ("/boot/firmware/cmdline.txt", "s/$/ {}/", ""),
            (
                "/etc/default/grub",
                "s/^GRUB_CMDLINE_LINUX=\"/&{} /",
                " && sudo update-grub",
            ),
        ];
        let here = loaders.iter().find(|(file, ..)| self.path(file).exists());
        match here {
            Some((file, edit, after)) => {
                let edit = edit.replace("{}", argument);
                format!("sudo sed -i '{edit}' {file}{after} && sudo reboot")
            }
            None => format!("sudo grubby --update-kernel=ALL --args={argument} && sudo reboot"),
        }
    }
}

/// `path` as a word of a shell command.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Numbers with a comma between them.
pub(super) fn numbers(all: &[usize]) -> String {
    let all: Vec<String> = all.iter().map(usize::to_string).collect();
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_and_quotes_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/usr/bin/e4")), "/usr/bin/e4");
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }

    #[test]
    fn names_are_sorted_by_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["video10", "video2", "v4l"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let host = Host::under(folder.path());
        assert_eq!(host.names("/"), ["v4l", "video2", "video10"]);
        assert_eq!(host.names("/no/such"), [""; 0]);
    }

    #[test]
    fn each_boot_loader_gets_its_own_command() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::under(folder.path());
        assert!(
            host.kernel_argument("isolcpus=1")
                .starts_with("sudo grubby --update-kernel=ALL --args=isolcpus=1 ")
        );
        fs::create_dir_all(folder.path().join("etc/default")).unwrap();
        fs::write(folder.path().join("etc/default/grub"), "").unwrap();
        assert_eq!(
            host.kernel_argument("isolcpus=1"),
            "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&isolcpus=1 /' /etc/default/grub && sudo update-grub && sudo reboot"
        );
    }
}
