# Sourced by cross/build where rustup cannot serve the target: sets `std` to the flags
# of cargo that build the standard library, and the environment that these need.
#
# Three packages of Debian, unpacked into target/cross and not installed: rust-src of
# the compiler's own version, musl for the target, and (of the cross compiler, already
# there) the unwinder. std's own dependencies come from crates.io.

version=$(rustc --version | cut -d' ' -f2)
kept=$PWD/target/cross/$version
if [ ! -e "$kept/complete" ]; then
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -e $keyring ] || { say "install what is missing: sudo apt-get install debian-archive-keyring"; exit 2; }
  rm -rf "$kept"
  mkdir -p "$kept"/apt/{lists/partial,cache/archives/partial,state} "$kept/debs"
  : >"$kept/apt/state/status"
  for suite in trixie trixie-backports; do
    echo "deb [signed-by=$keyring] http://deb.debian.org/debian $suite main"
  done >"$kept/apt/sources.list"
  cat >"$kept/apt/apt.conf" <<CONF
Dir::State "$kept/apt/state";
Dir::State::Lists "$kept/apt/lists";
Dir::State::status "$kept/apt/state/status";
Dir::Cache "$kept/apt/cache";
Dir::Etc::SourceList "$kept/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
  export APT_CONFIG=$kept/apt/apt.conf
  apt-get update -qq >&2
  found=$(apt-cache madison rust-src | awk -v v="$version+" 'index($3, v) == 1 { print $3; exit }')
  [ -n "$found" ] || {
    say "Debian has no rust-src $version: use a rustup that can reach its server, or another toolchain"
    exit 2
  }
  (cd "$kept/debs" && apt-get download -qq "rust-src=$found" musl-dev:arm64) >&2
  for package in "$kept"/debs/*.deb; do dpkg-deb -x "$package" "$kept/files"; done
  unset APT_CONFIG
  touch "$kept/complete"
fi

# Cargo looks for the library's source in one place only.
sources=$(rustc --print sysroot)/lib/rustlib/src/rust
[ -e "$sources/library/Cargo.lock" ] || {
  mkdir -p "$sources"
  cp -r "$kept/files/usr/src/rustc-$version/library" "$sources/"
}

# musl's start files and libc.a, and gcc's unwinder under the name that std asks for.
musl=$kept/files/usr/lib/aarch64-linux-musl
cp "$($gnu-gcc -print-file-name=libgcc_eh.a)" "$musl/libunwind.a"
$gnu-gcc -O2 -c cross/find_object.c -o "$kept/find_object.o"
$gnu-ar rs "$musl/libunwind.a" "$kept/find_object.o" 2>/dev/null
sed "s,/usr/lib/aarch64-linux-musl,$musl,g; s,/usr/include/aarch64-linux-musl,$kept/files/usr/include/aarch64-linux-musl,g" \
  "$musl/musl-gcc.specs" >"$kept/musl.specs"
std=(-Zbuild-std=std,panic_unwind)
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS="-Clink-self-contained=no -Clink-arg=-specs=$kept/musl.specs -Lnative=$musl"
