# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# verdict.sh - what the tests that are scripts begin with: where the sources are, a folder of
# their own, and how they say what is wrong. Sourced.
set -u
export LC_ALL=C
srcdir=${srcdir:-.}
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
failed=0

# the test goes on, and ends with $failed
fail() {
	echo "FAIL: $*"
	failed=1
}
