# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
#
# each.sh - runs several of the target's tests, as one. Sourced, not run.

# each NAME...: exits with 1 if one of them fails; what says that it cannot run is no failure
each() {
	failed=0
	for name; do
		echo "== $name"
		"nvmet/tests/$name"
		status=$?
		[ $status = 0 ] || [ $status = 77 ] || failed=1
	done
	exit $failed
}
