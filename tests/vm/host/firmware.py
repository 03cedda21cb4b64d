"""The firmware tables that give a guest clocks, a thermal zone and a power meter."""

from pathlib import Path

from arch import Arch
from shell import run

SOURCES = Path(__file__).parent.parent / "firmware"
CPUS = "2"
MEMORY = "1024"


def firmware(arch: Arch, cache: Path) -> list[str]:
    """Compiles the tables; returns the emulator's arguments that use them."""
    return _acpi(cache) if arch.name == "x86_64" else _device_tree(arch, cache)


def _acpi(cache: Path) -> list[str]:
    """An ACPI table beside those that the emulator makes."""
    run("iasl", "-p", cache / "clocks", SOURCES / "x86_64.asl")
    return ["-acpitable", f"file={cache}/clocks.aml"]


def _device_tree(arch: Arch, cache: Path) -> list[str]:
    """The emulator's own device tree with our nodes added."""
    dumped, merged = cache / "virt.dtb", cache / "clocks.dtb"
    machine = [*arch.machine, "-smp", CPUS, "-m", MEMORY]
    machine[1] = f"{machine[1]},dumpdtb={dumped}"
    run(arch.emulator, *machine, "-display", "none")
    own = run("dtc", "-q", "-I", "dtb", "-O", "dts", dumped)
    source = cache / "clocks.dts"
    source.write_text(own + (SOURCES / "aarch64.dts").read_text())
    run("dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", merged, source)
    return ["-dtb", str(merged)]
