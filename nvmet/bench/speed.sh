# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# speed.sh - targets in turn, in every row that targets are compared in: this tree's, and others
# that are named. Sourced by scripts/bench, in the build folder, after target.sh.

speed_rows=${ROWS:-"read:4096:1 read:4096:32 read:4096:128 write:4096:32 mixed:4096:32
	read:131072:1 read:131072:8 read:131072:32 write:131072:1 write:131072:8 write:131072:32"}

# start NAME PROGRAM OPTION...: it is stopped until it has its turn, since one that polls
# never sleeps
start() {
	log=speed-$1.log
	program=$2
	shift 2
	LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:.libs taskset -c 0 "$program" --listen 127.0.0.1:0 \
		--nqn $nqn --queue-size 256 --congestion reno "$@" >"$log" 2>&1 &
	target=$!
	until grep -q '^ready' "$log"; do sleep 0.1; done
	listen=$(sed -n 's/^ready listen=\([^ ]*\).*/\1/p' "$log")
	kill -STOP $target
}

# calls_of SECONDS: system calls of the target in that time; nothing where perf may not count
calls_of() {
	perf stat -x, -e raw_syscalls:sys_enter -p "$target" sleep "$1" 2>&1 |
		awk -F, '/sys_enter/ && $1 + 0 > 0 { print $1 }'
}

# counted OP BYTES DEPTH: system calls for a command, in a round of its own
counted() {
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

# one_row ENGINE OP BYTES DEPTH: a round of each target
one_row() {
	engine=$1
	shift
	while read -r name target listen; do
		kill -CONT "$target"
		line=$(initiator "$@" "$secs" --as-it-is)
		calls=
		[ $round -gt 0 ] || calls=$(counted "$@")
		kill -STOP "$target"
		echo "$line $calls" | sed "s/^bench=nvme/bench=speed target=$name engine=$engine/
			s/queues=1 //; s/threads=1 //; s/secs=[^ ]* //; s/errors=0 //; s/p999_us=[^ ]* //; s/max_us=[^ ]* //"
	done <speed.targets
}

# The first target's row, and the others by it: medians of their own rounds.
speed_medians() {
	awk '
		function median(list, n, values, i, j, t) {
			n = split(list, values, " ")
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && values[j] + 0 < values[j - 1] + 0; j--) {
					t = values[j]; values[j] = values[j - 1]; values[j - 1] = t
				}
			return values[int(n / 2) + 1]
		}
		{
			key = ""
			for (i = 1; i <= NF; i++) {
				split($i, word, "=")
				if (word[1] ~ /^(bench|target|engine|op|bs|qd)$/) key = key $i " "
				else if (word[1] == "mbps") lists[key, "gibs"] = lists[key, "gibs"] " " sprintf("%.3f", word[2] / 1073.741824)
				else lists[key, word[1]] = lists[key, word[1]] " " word[2]
			}
			if (!(key in known)) { known[key] = 1; keys[++count] = key }
		}
		END {
			n = split("iops gibs p50_us p99_us server_cpu cpu_us_each calls_each", names, " ")
			for (k = 1; k <= count; k++) {
				line = keys[k]
				for (i = 1; i <= n; i++)
					if ((keys[k], names[i]) in lists)
						line = line names[i] "=" median(lists[keys[k], names[i]]) " "
				sub(/ $/, "", line)
				print line
			}
		}' "$1"
}

# speed_table [epoll|poll]... [NAME=PROGRAM]...: both engines unless one is named
speed_table() {
	rounds=5 secs=1 threads=1 initiator_cores=1 engines= others=
	[ -z "$SHORT" ] || rounds=1 secs=0.2
	for word; do
		case $word in
		*=*) others="$others $word" ;;
		*) engines="$engines $word" ;;
		esac
	done
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
		start "${word%%=*}" "${word#*=}" $poll
		echo "${word%%=*} $target $listen" >>speed.targets
		kill -CONT "$target"
		initiator write 4096 32 0.1 >/dev/null # the region is filled
		kill -STOP "$target"
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
	speed_medians rounds.out
	while read -r name target listen; do
		kill -CONT "$target"
		kill "$target"
		wait "$target" || true
	done <speed.targets
	trap - EXIT
}
