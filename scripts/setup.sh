#!/bin/sh
# Installs what the build and the tests need and this machine lacks. Changes nothing on a machine that has it all.
set -eu

missing=""
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    ldconfig -p 2>/dev/null | grep -q 'libclang[-.0-9]*\.so' && return 0
    ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1
}

command -v cargo >/dev/null 2>&1 || {
    echo "setup: cargo is missing; install Rust 1.95 or newer (https://rustup.rs) and run make again" >&2
    exit 1
}
rust=$(rustc --version | cut -d' ' -f2)
case "$(printf '%s\n1.95.0\n' "$rust" | sort -V | head -n 1)" in
    1.95.0) ;;
    *) echo "setup: rustc $rust is too old, 1.95.0 or newer is needed (rustup update stable)" >&2; exit 1 ;;
esac

have_libclang || missing="$missing libclang-dev"           # RocksDB's bindings are generated from its header
command -v c++ >/dev/null 2>&1 || missing="$missing g++"    # RocksDB itself
command -v psql >/dev/null 2>&1 || missing="$missing postgresql-client"

[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: please install:$missing (no apt-get here)" >&2
    exit 1
fi
as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
echo "setup: installing$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086  # a list of words on purpose
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
