# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# speed.sh - targets in turn, in every row that targets are compared in: this tree's, and others
# that are named. Sourced by scripts/bench, in the build folder, after target.sh.
#
# Another target takes launch()'s options (target.sh), or is a script that makes its own of them
# and says where it listens: "ready listen=ADDRESS:PORT". ROWS and SECS (of a round) in the
# environment: other rows, longer rounds.

speed_rows=${ROWS:-"read:4096:1 read:4096:32 read:4096:128 write:4096:32 mixed:4096:32
	read:131072:1 read:131072:8 read:131072:32 write:131072:1 write:131072:8 write:131072:32"}

# calls_of SECONDS: system calls of the target in that time; nothing where perf may not count
calls_of() {
	perf stat -x, -e raw_syscalls:sys_enter -p "$target" sleep "$1" 2>&1 |
		awk -F, '/sys_enter/ && $1 + 0 > 0 { print $1 }'
}

# calls_each OP BYTES DEPTH: system calls for a command, in a round of its own
calls_each() {
	calls_of "$secs" >calls.out &
	counter=$!
	initiator "$@" "$secs" --as-it-is >counted.out
	wait $counter
	awk -v calls="$(cat calls.out)" -v secs="$secs" '{
		iops = $0
		sub(/.* iops=/, "", iops)
		if (calls) printf "calls_each=%.2f\n", calls / secs / iops
	}' counted.out
}

# speed_line NAME: of what the initiator says, the words of this table
speed_line() {
	awk -v line="bench=speed target=$1 engine=$engine" '{
		for (i = 2; i <= NF; i++) {
			if (sub(/^mbps=/, "", $i)) $i = sprintf("gibs=%.3f", $i / 1073.741824)
			if ($i ~ /^(op|bs|qd|iops|gibs|p50_us|p99_us|server_cpu|cpu_us_each|calls_each)=/) line = line " " $i
		}
		print line
	}'
}

# one_row ENGINE OP BYTES DEPTH: a round of each target
one_row() {
	engine=$1
	shift
	while read -r name target listen; do
		kill -CONT "$target"
		line=$(initiator "$@" "$secs" --as-it-is)
		calls=
		[ $round -gt 0 ] || calls=$(calls_each "$@")
		kill -STOP "$target"
		echo "$line $calls" | speed_line "$name"
	done <speed.targets
}

# speed_table [epoll|poll]... [NAME=PROGRAM]...: both engines unless one is named
speed_table() {
	rounds=5 secs=${SECS:-1} threads=1 initiator_cores=1 engines= others=
	[ -z "$SHORT" ] || rounds=1 secs=0.2
	for word; do
		case $word in
		*=*) others="$others $word" ;;
		*) engines="$engines $word" ;;
		esac
	done
	export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}:.libs" # for a program that was copied from here
	echo "# congestion control: reno"
	for engine in ${engines:-epoll poll}; do
		speed_engine "$engine"
	done
}

speed_engine() {
	poll=
	[ "$1" = epoll ] || poll=--poll
	: >speed.targets
	trap 'kill -CONT $(cut -d " " -f 2 speed.targets); kill $(cut -d " " -f 2 speed.targets)' EXIT
	for word in this=nvmet/zcreq-nvmet $others; do
		# shellcheck disable=SC2086  # a word or none
		launch "speed-${word%%=*}.log" 0 "${word#*=}" $poll
		echo "${word%%=*} $target $listen" >>speed.targets
		initiator write 4096 32 0.1 >/dev/null # the region is filled
		kill -STOP "$target" # until it has its turn: one that polls never sleeps
	done
	round=0
	: >rounds.out
	while [ $round -lt $rounds ]; do
		for row in $speed_rows; do
			# shellcheck disable=SC2046  # words
			one_row "$1" $(echo "$row" | tr : ' ') >>rounds.out
		done
		round=$((round + 1))
	done
	medians rounds.out
	while read -r name target listen; do
		kill -CONT "$target"
		kill "$target"
		wait "$target" || true
	done <speed.targets
	trap - EXIT
}
