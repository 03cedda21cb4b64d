"""What differs between the two kinds of machine that the rig boots."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Arch:
    """One kind of machine: its names in Debian, Rust and QEMU, its modules."""

    name: str
    debian: str
    target: str
    emulator: str
    machine: tuple[str, ...]
    console: str
    gnu: str
    modules: tuple[str, ...]
    tools: dict[str, str]


# What every guest can load; a case loads what it needs (busybox modprobe).
COMMON = (
    "9p", "9pnet_virtio", "virtio_pci",
    "vivid",
    "i2c-dev", "i2c-stub", "ina3221", "ina2xx",
    "cpufreq_userspace", "cpufreq_ondemand", "cpufreq_conservative", "cpufreq_powersave",
    "governor_userspace", "governor_simpleondemand", "governor_performance", "governor_powersave",
)  # fmt: skip

# Host programs and the Debian package that brings each.
TOOLS = {
    "apt-get": "apt", "dpkg-deb": "dpkg", "cpio": "cpio", "xz": "xz-utils", "depmod": "kmod",
    "gzip": "gzip", "objdump": "binutils", "strip": "binutils", "make": "make", "gcc": "gcc",
}  # fmt: skip

X86_64 = Arch(
    name="x86_64",
    debian="amd64",
    target="x86_64-unknown-linux-gnu",
    emulator="qemu-system-x86_64",
    # The CPU poses as one whose driver takes its clocks from the firmware's tables;
    # one emulation thread, as guests on two now and then die at boot.
    machine=(
        "-M", "q35",
        "-cpu", "max,vendor=GenuineIntel,family=6,model=58",
        "-accel", "tcg,thread=single",
    ),  # fmt: skip
    console="ttyS0",
    gnu="x86_64-linux-gnu",
    modules=(*COMMON, "acpi-cpufreq", "acpi_power_meter", "thermal"),
    tools={**TOOLS, "qemu-system-x86_64": "qemu-system-x86", "iasl": "acpica-tools"},
)

AARCH64 = Arch(
    name="aarch64",
    debian="arm64",
    target="aarch64-unknown-linux-musl",
    emulator="qemu-system-aarch64",
    machine=("-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi"),
    console="ttyAMA0",
    gnu="aarch64-linux-gnu",
    modules=(*COMMON, "cpufreq-dt", "imx-bus", "bcm2711_thermal"),
    tools={
        **TOOLS,
        "qemu-system-aarch64": "qemu-system-arm",
        "dtc": "device-tree-compiler",
        "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    },
)

ARCHES = {arch.name: arch for arch in (X86_64, AARCH64)}
