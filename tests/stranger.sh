#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# stranger.sh [here] - from a clone to a first program: the lines that README.md prints
#
# Each line is run as it stands there, in an empty folder, with a HOME of its own; the
# address in the first leads to this repository. Prints what each took. The last has to say
# that its buffer was sent and came back.
#
#   stranger.sh        with an empty /usr/local and a copy of /etc, in a mount namespace; what
#                      the first script would install of Debian has to be there
#   stranger.sh here   in a root that is there for this: scripts/packages
#
# Not in make check: it clones what is committed, and builds it. Uses: srcdir, and REPOSITORY
# if that is not srcdir.
set -eu
export LC_ALL=C
src=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

if [ "${1:-}" != here ]; then
	[ -e "$src/.git" ] || { echo "not a git tree"; exit 77; }
	[ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null ||
		{ echo "needs root, and a mount namespace"; exit 77; }
	# shellcheck disable=SC2016  # the inner shell's
	exec unshare --mount sh -euc '
		etc=$(mktemp -d)
		mount -t tmpfs tmpfs "$etc"
		cp -a /etc/. "$etc"
		mount --bind "$etc" /etc
		umount "$etc"
		rmdir "$etc"
		mount -t tmpfs tmpfs /usr/local
		exec sh "$1" here' sh "$src/tests/stranger.sh"
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export HOME="$tmp/home"
mkdir "$HOME" "$tmp/work"
lines=$(awk '/^## / { there = $0 == "## Requirements and install" }
	/^```/ { on = there && !on; if (!on) there = 0; next } on' "$src/README.md")
address=$(echo "$lines" | sed -n 's/^git clone //p')
[ -n "$address" ] || fail "README.md has no line that clones"
[ "$(echo "$lines" | wc -l)" -le 5 ] || fail "these are more than five lines"
git config --global safe.directory '*'
git config --global advice.detachedHead false
git config --global "url.${REPOSITORY:-$src}.insteadOf" "$address"

cd "$tmp/work"
all=$(date +%s%N)
echo "$lines" | while read -r line; do
	begun=$(date +%s%N)
	sh -euc "$line" >"$tmp/said" 2>&1 </dev/null || fail "$line: $(tail -n 20 "$tmp/said")"
	awk -v begun="$begun" -v ended="$(date +%s%N)" -v line="$line" \
		'BEGIN { printf "%7.1f s  %s\n", (ended - begun) / 1e9, line }'
done
awk -v begun="$all" -v ended="$(date +%s%N)" 'BEGIN { printf "%7.1f s  in all\n", (ended - begun) / 1e9 }'
grep -q '^released, status 0' "$tmp/said" || fail "the program said: $(cat "$tmp/said")"
[ -x hello ] && [ ! -L hello ] || fail "there is no program"
