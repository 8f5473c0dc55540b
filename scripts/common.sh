# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# common.sh - what the scripts share: where things are, what has to be installed,
# how the project is built. Sourced, not run.
#
# A script works from a fresh Debian 12 with nothing but git: `need` installs what
# is missing, and asks for no privilege if nothing is.

set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
jobs=$(nproc)

# packages that each purpose takes, by what it is for
packages_library="gcc make autoconf automake libtool pkg-config"
packages_build="$packages_library g++ liburing-dev"
packages_test="check libsubunit-dev iproute2 binutils mandoc systemtap-sdt-dev libuv1-dev libglib2.0-dev clang libbpf-dev abigail-tools systemd"
packages_nvmet="libev-dev libnvme-dev libisal-dev"
packages_demo="iproute2"
packages_model="spin"
packages_bench="valgrind clang libbpf-dev"
packages_fuzz="clang libclang-rt-dev"
packages_coverage="python3"
packages_rpm="rpm"
packages_systems="debootstrap debian-archive-keyring util-linux"
packages_interop="qemu-system-x86 cpio busybox-static kmod xz-utils libjson-c5 libdbus-1-3 python3 iproute2 util-linux tshark fio"
packages_kernels="qemu-system-x86 cpio busybox-static kmod xz-utils zstd diffutils python3 iproute2 util-linux"

say() { printf '%s\n' "== $*" >&2; }

installed() {
	dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed'
}

# need PACKAGE...: installs those that are missing
need() {
	missing=
	for package; do
		installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "installing:$missing"
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || {
			say "these packages are missing, and there is neither root nor sudo:$missing"
			exit 1
		}
		as_root=sudo
	fi
	# shellcheck disable=SC2086  # a list of words
	$as_root env DEBIAN_FRONTEND=noninteractive sh -c '
		apt-get -qq update && apt-get -qq install -y --no-install-recommends "$@"' \
		apt $missing >&2
}

# listed PACKAGE: the lists of packages are there, for apt-get download
listed() {
	apt-cache show "$1" >/dev/null 2>&1 && return 0
	if [ "$(id -u)" = 0 ]; then apt-get -qq update >&2; else sudo apt-get -qq update >&2; fi
}

# found: what configure may find, in a number: another when a package has come or gone
found() {
	# shellcheck disable=SC2086  # lists of words
	dpkg-query -W -f='${Package} ${Version} ${db:Status-Status}\n' \
		$packages_build $packages_test $packages_nvmet 2>/dev/null | cksum
}

# configured DIR OPTION...: a build folder of its own, configured with OPTION...; stays as it
# is when it has been configured with the same before, to the end, with the same packages
configured() {
	dir=$top/$1
	shift
	[ ! -e "$top/config.status" ] || {
		say "there is a build in the source tree itself, and automake refuses a second: make distclean"
		exit 1
	}
	with="$* $(found)"
	# the last that autogen.sh makes, and what is written when configure has ended
	[ -f "$top/Makefile.in" ] && [ -x "$top/configure" ] || (cd "$top" && ./autogen.sh >&2)
	mkdir -p "$dir"
	[ -f "$dir/.options" ] && [ "$(cat "$dir/.options")" = "$with" ] && return
	rm -f "$dir/.options"
	# libtool runs in this shell, and in bash takes more than half of a build
	(cd "$dir" && CONFIG_SHELL=/bin/sh "$top/configure" --quiet "$@" >&2)
	printf '%s' "$with" >"$dir/.options"
}

# built DIR [TARGET...]: makes TARGETs in a configured folder
built() {
	dir=$top/$1
	shift
	make -s -C "$dir" -j"$jobs" --no-print-directory "$@" >&2
}
