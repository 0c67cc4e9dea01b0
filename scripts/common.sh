# Shared by up.sh and test.sh: where builds go, and what a build needs. Sourced, not run.
# shellcheck shell=bash

# Outside the checkout, so that clones share what is compiled.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/tidewheel/target}"

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

# Installs Debian packages that are missing; says what to do where that cannot be done.
need_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}"
  if ! command -v apt-get >/dev/null; then
    fail "these packages are missing and there is no apt-get to install them: ${missing[*]}"
  fi
  local log
  log="$(mktemp)"
  if ! { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive \
         apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail "installing failed; install them by hand: apt-get install ${missing[*]}"
  fi
}

# What compiling needs: a C toolchain for librdkafka and zstd, OpenSSL for TLS.
need_build_tools() {
  if command -v dpkg-query >/dev/null; then
    need_packages build-essential pkg-config libssl-dev zlib1g-dev
  fi
  command -v cargo >/dev/null || fail "cargo is missing; install Rust 1.95 or newer: https://rustup.rs"
}

# Builds the binary and sets tidewheel to its path. TIDEWHEEL_BINARY names one that is built already.
build_tidewheel() {
  if [ -n "${TIDEWHEEL_BINARY:-}" ]; then tidewheel="$TIDEWHEEL_BINARY"; return; fi
  need_build_tools
  # shellcheck disable=SC2034 # used by whoever calls
  tidewheel="$CARGO_TARGET_DIR/release/tidewheel"
  say "building Tidewheel (the first time takes a while: DataFusion and librdkafka are compiled)"
  cargo build --release -p tidewheel
}
