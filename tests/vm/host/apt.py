"""Debian packages of any architecture, through a private apt root: nothing is installed.

The release is fixed (SUITE), whatever the host runs. The first run fixes the versions:
what is in the cache stays until the cache folder is removed.
"""

from pathlib import Path
from urllib.parse import urlparse

from shell import RigError, fresh, run, say

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Apt:
    """Fetches and unpacks packages under one cache folder."""

    def __init__(self, cache: Path) -> None:
        self.root = cache / "apt"
        self.env = {"APT_CONFIG": str(self.root / "apt.conf")}
        self.updated = False

    def _update(self) -> None:
        """Writes the private root and reads the package lists, once a run."""
        if self.updated:
            return
        for folder in ("lists/partial", "cache/archives/partial", "state"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "state/status").touch()
        (self.root / "apt.conf").write_text(_configuration(self.root))
        for mirror in (*_mirrors(), "http://deb.debian.org/debian"):
            source = f"deb [signed-by={KEYRING}] {mirror} {SUITE} main\n"
            (self.root / "sources.list").write_text(source)
            try:
                run("apt-get", "update", "-qq", "--error-on=any", env=self.env)
                break
            except RigError:
                say(f"{mirror} does not serve {SUITE}")
        else:
            raise RigError(f"no mirror serves Debian's {SUITE}: check the network")
        self.updated = True

    def depends(self, package: str) -> list[str]:
        """The packages that the newest `package` depends on."""
        self._update()
        shown = run("apt-cache", "depends", package, env=self.env)
        return [line.split()[-1] for line in shown.splitlines() if "Depends:" in line]

    def fetch(self, folder: Path, *packages: str, with_dependencies: bool = False) -> list[Path]:
        """Downloads packages into `folder`, or finds them there."""
        stamp = folder / "complete"
        if not stamp.exists():
            self._update()
            say(f"downloading {' '.join(packages)}")
            names = self._closure(packages) if with_dependencies else packages
            run("apt-get", "download", "-qq", *names, cwd=fresh(folder), env=self.env)
            stamp.touch()
        return sorted(folder.glob("*.deb"))

    def _closure(self, packages: tuple[str, ...]) -> list[str]:
        """`packages` and all that they need."""
        plan = run(
            "apt-get", "install", "-s", "-qq", "--no-install-recommends", *packages, env=self.env
        )
        lines = [line.split() for line in plan.splitlines()]
        return [words[1] for words in lines if words[:1] == ["Inst"]]


def unpack(packages: list[Path], folder: Path) -> Path:
    """The files of packages, in a fresh folder."""
    fresh(folder)
    for package in packages:
        run("dpkg-deb", "-x", package, folder)
    return folder


def _mirrors() -> list[str]:
    """The Debian mirrors that the host uses."""
    if not Path(KEYRING).exists():
        raise RigError("install what is missing: sudo apt-get install debian-archive-keyring")
    places = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    words = [
        word
        for place in places
        if place.is_file() and place.suffix in (".list", ".sources")
        for word in place.read_text().split()
    ]
    return sorted({word for word in words if urlparse(word).path.rstrip("/") == "/debian"})


def _configuration(root: Path) -> str:
    return f"""
Dir::State "{root}/state";
Dir::State::Lists "{root}/lists";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Etc::SourceList "{root}/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; "arm64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
"""
