#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# check_scenarios.sh fake|real - every scenario gives the trace that is written in it
#
# The traces in tests/scenarios/kernel/ were recorded on the real kernel. The fake kernel
# has to give the same, which is what makes it a judge; and the real one has to go on
# giving them, or it has changed. A difference is printed as a diff.
#
# A scenario that this machine slept through (status 75) has shown nothing: it is played
# again, 20 times at most, and then it is skipped.
#
# COPIED is the exception: it is a hint, and before 6.17 Linux copies for any receiver, also
# for one that then drops the packet as not its own (doc/kernel.md). There the traces are
# compared without it.
set -u
world=$1
traces=${srcdir:-.}/tests/scenarios/kernel
run=0 skipped=0 failed=0
got=$(mktemp) && why=$(mktemp) || exit 99
want=$(mktemp) || exit 99
trap 'rm -f "$got" "$why" "$want"' EXIT
hint=
release=$(uname -r)
major=${release%%.*} minor=${release#*.}
minor=${minor%%[!0-9]*}
if [ "$world" = real ] && [ $((major * 1000 + minor)) -lt 6017 ]; then
	hint='s/ copied//'
	echo "Linux $release copies for any receiver: COPIED is not compared"
fi
for trace in "$traces"/*.trace; do
	name=$(basename "$trace" .trace)
	for _ in $(seq 20); do
		tests/scenarios/scenario "$world" <"$trace" >"$got" 2>"$why"
		status=$?
		[ $status = 75 ] || break
		echo "once more: $name: $(cat "$why")"
	done
	case $status in
	0) ;;
	75 | 77) skipped=$((skipped + 1)); echo "skipped: $name: $(cat "$why")"; continue ;;
	*) failed=$((failed + 1)); echo "FAIL: $name: $(cat "$why")"; continue ;;
	esac
	sed "$hint" "$trace" >"$want"
	sed -i "$hint" "$got"
	if ! diff -u --label "$name, recorded" --label "$name, $world" "$want" "$got"; then
		failed=$((failed + 1))
		echo "FAIL: $name"
		continue
	fi
	run=$((run + 1))
done
echo "$world kernel: $run scenarios as recorded, $skipped skipped, $failed failed"
[ $failed = 0 ] || exit 1
[ $run != 0 ] || exit 77
