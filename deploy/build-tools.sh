# What building Pushrail needs beside Rust: sourced by deploy/demo and tests/run. RocksDB is C++, and its
# bindings are generated through libclang.

say() { printf '%s\n' "$*" >&2; }

have_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  # `compgen -G` says whether a pattern finds a file.
  local place
  for place in '/usr/lib/llvm-*/lib/libclang*.so*' '/usr/lib/*/libclang*.so*' '/usr/lib64/libclang*.so*' '/usr/local/lib/libclang*.so*'; do
    compgen -G "$place" >/dev/null && return 0
  done
  return 1
}

# Installs the Debian packages named, as root or through sudo; where neither is possible, says what is missing.
install_packages() {
  local as=()
  if ! command -v apt-get >/dev/null; then
    say "Missing: $*. This is no Debian: please install what corresponds to these packages, and start again."
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "Missing: $*. Please run as root: apt-get install --yes $*"
      return 1
    fi
    as=(sudo)
  fi
  say "installing $*"
  "${as[@]}" apt-get update -qq >&2 &&
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "$@" >&2
}

need_build_tools() {
  local missing=()
  command -v c++ >/dev/null || missing+=(g++)
  command -v make >/dev/null || missing+=(make)
  command -v setpriv >/dev/null || missing+=(util-linux)
  have_libclang || missing+=(libclang-dev)
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}" || return 1

  command -v cargo >/dev/null || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  if ! command -v cargo >/dev/null; then
    say 'Missing: a Rust toolchain (cargo). Please install it as https://rustup.rs says, and start again.'
    return 1
  fi
}
