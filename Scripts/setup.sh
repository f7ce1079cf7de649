#!/usr/bin/env bash
# Makes sure that the package can be built: Swift 6.3 or newer is checked, the C headers that it needs are installed
# by apt where they are missing. Changes nothing where nothing is missing, and never asks a question.
set -euo pipefail

needs_swift=6.3
say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$@" >&2
  exit 69
}

check_swift() {
  command -v swift >/dev/null || fail "swift is not on the PATH; tornlog needs Swift $needs_swift or newer." \
    "Install it from https://www.swift.org/install/linux/ and put its usr/bin on the PATH."
  local version
  # Only the first line on standard output: a driver's version goes to standard error.
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
  [ -n "$version" ] || fail "\`swift --version\` does not say which version it is:" "$(swift --version 2>&1 | head -n 2)"
  if [ "$(printf '%s\n%s\n' "$needs_swift" "$version" | sort -V | head -n 1)" != "$needs_swift" ]; then
    fail "found Swift $version at $(command -v swift); tornlog needs $needs_swift or newer." \
      "Install it from https://www.swift.org/install/linux/ and put its usr/bin first on the PATH."
  fi
}

# The compiler itself is asked, so that a library that was built by hand counts too.
has_header() { printf '#include <%s>\n' "$1" | "$cc" -fsyntax-only -x c - 2>/dev/null; }

missing_packages() {
  has_header liburing.h || echo liburing-dev
  has_header zlib.h || echo zlib1g-dev
  has_header libdeflate.h || echo libdeflate-dev
  has_header zstd.h || echo libzstd-dev
  has_header sqlite3.h || echo libsqlite3-dev
  has_header curl/curl.h || echo libcurl4-openssl-dev
  # The header asks for the version of the interface that the includer means.
  echo '#include <fuse3/fuse_lowlevel.h>' | "$cc" -fsyntax-only -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 -x c - 2>/dev/null ||
    echo libfuse3-dev
  command -v fusermount3 >/dev/null || echo fuse3
}

install() {
  local packages=("$@") run=()
  command -v apt-get >/dev/null || fail "missing: ${packages[*]} (Debian's names), and there is no apt-get here." \
    "Install the headers of liburing (2.3 or newer), zlib, libdeflate, zstd, SQLite, libcurl and libfuse (3.14 or newer), and fusermount3, by your distribution's means, then run this again."
  if [ "$(id -u)" -ne 0 ]; then
    # -n: fail rather than ask for a password.
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      fail "missing: ${packages[*]}, and this user is neither root nor may use sudo without a password." \
        "Run as root, once:  apt-get install --no-install-recommends ${packages[*]}"
    fi
    run=(sudo -n)
  fi
  say "installing ${packages[*]} by apt: liburing drives io_uring, zlib's CRC-32 is the log's checksum, computed by libdeflate; libzstd packs archives of logs; SQLite keeps leases; libcurl sends events over HTTP; libfuse3 serves the volume, and fuse3 mounts it for those who are not root"
  run+=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120)
  # The lists may be old or absent in a container; where they are good, fetching them again is only slow.
  "${run[@]}" -qq -y --no-install-recommends install "${packages[@]}" </dev/null >/dev/null 2>&1 && return
  "${run[@]}" -qq update </dev/null
  "${run[@]}" -qq -y --no-install-recommends install "${packages[@]}" </dev/null ||
    fail "apt could not install ${packages[*]}; its message stands above."
}

# What `explore --real` makes its file systems with. Only root may mount, and without them it says what is missing: nothing
# else needs them, so that a failure is no reason to stop.
install_mkfs() {
  local packages=()
  PATH=$PATH:/usr/sbin:/sbin
  command -v mkfs.xfs >/dev/null || packages+=(xfsprogs)
  command -v mkfs.btrfs >/dev/null || packages+=(btrfs-progs)
  [ "${#packages[@]}" -gt 0 ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 0
  say "installing ${packages[*]} by apt: tornlog explore --real, and its tests, compare with real file systems"
  local run=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq -y --no-install-recommends install)
  "${run[@]}" "${packages[@]}" </dev/null >/dev/null 2>&1 && return
  { apt-get -qq update && "${run[@]}" "${packages[@]}"; } </dev/null >/dev/null 2>&1 ||
    say "they could not be installed: those tests are skipped"
}

# What checks the alert rules. Only tests need it; where it cannot be had they are skipped, and say so. The package is
# unpacked, not installed: installed, it would start a server.
fetch_promtool() {
  local tools folder
  tools=$(cd "$(dirname "$0")/.." && pwd)/.build/tools
  if [ -x "$tools/promtool" ] || command -v promtool >/dev/null; then return; fi
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
  say "fetching promtool (of Debian's package prometheus, unpacked below .build/tools): it checks the alert rules in the tests"
  folder=$(mktemp -d)
  mkdir -p "$tools"
  (
    cd "$folder" || exit 1
    apt-get -qq download prometheus || { [ "$(id -u)" -eq 0 ] && apt-get -qq update && apt-get -qq download prometheus; } || exit 1
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && mv usr/bin/promtool "$tools/promtool"
  ) </dev/null >/dev/null 2>&1 || say "it could not be fetched: those tests are skipped"
  rm -rf "$folder"
}

# Two engines for the smoke of Drivers/ (RealEngineTests). Without them those tests are skipped. The server is unpacked,
# not installed: installed, it would be started.
fetch_engines() {
  local tools folder
  tools=$(cd "$(dirname "$0")/.." && pwd)/.build/tools
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
  if [ "$(id -u)" -eq 0 ] && ! /usr/bin/python3 -c 'import plyvel' 2>/dev/null; then
    say "installing python3-plyvel by apt: LevelDB, for a test"
    env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq -y --no-install-recommends install \
      python3-plyvel </dev/null >/dev/null 2>&1 || say "it could not be installed: that test is skipped"
  fi
  [ -x "$tools/beanstalkd" ] || command -v beanstalkd >/dev/null && return
  say "fetching beanstalkd (of Debian's package, unpacked below .build/tools): a server, for a test"
  folder=$(mktemp -d)
  mkdir -p "$tools"
  (
    cd "$folder" && apt-get -qq download beanstalkd &&
      dpkg-deb --fsys-tarfile beanstalkd_*.deb | tar -x ./usr/bin/beanstalkd &&
      mv usr/bin/beanstalkd "$tools/beanstalkd"
  ) </dev/null >/dev/null 2>&1 || say "it could not be fetched: that test is skipped"
  rm -rf "$folder"
}

# Prometheus' own parser of OpenMetrics text, for one test. Unpacked, not installed: Debian's Python need not be the one on the PATH.
fetch_prometheus_client() {
  local tools folder
  command -v python3 >/dev/null || return 0
  tools=$(cd "$(dirname "$0")/.." && pwd)/.build/tools/python
  PYTHONPATH=$tools python3 -c 'import prometheus_client.openmetrics.parser' 2>/dev/null && return 0
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 0
  say "fetching prometheus_client (of Debian's package python3-prometheus-client, unpacked below .build/tools): it reads the metrics in a test"
  folder=$(mktemp -d)
  mkdir -p "$tools"
  (
    cd "$folder" || exit 1
    apt-get -qq download python3-prometheus-client ||
      { [ "$(id -u)" -eq 0 ] && apt-get -qq update && apt-get -qq download python3-prometheus-client; } || exit 1
    dpkg-deb --fsys-tarfile python3-prometheus-client_*.deb | tar -x ./usr/lib/python3/dist-packages/prometheus_client &&
      cp -R usr/lib/python3/dist-packages/prometheus_client "$tools/"
  ) </dev/null >/dev/null 2>&1 || say "it could not be fetched: that test is skipped"
  rm -rf "$folder"
}

check_swift
cc=$(command -v clang || command -v cc) || fail "no C compiler: a Swift toolchain brings clang; is its usr/bin on the PATH?"
mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -gt 0 ]; then
  install "${packages[@]}"
  mapfile -t packages < <(missing_packages)
  [ "${#packages[@]}" -eq 0 ] || fail "still missing after the installation: ${packages[*]}"
fi
install_mkfs
fetch_promtool
fetch_prometheus_client
fetch_engines
