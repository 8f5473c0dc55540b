# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# target.sh - the target of nvmet/ on one core, the initiator on the other,
# in turn with the floor below it. Sourced by scripts/bench, in the build folder.

nqn=nqn.2014-08.org.example:zcreq-bench

# medians FILE: of the rounds of each benchmark, word by word, and the ratios of the
# target to the floor. Neighbours in time are compared: noise hits both alike.
medians() {
	awk '
		function median(list, n, values, i, j, t) {
			n = split(list, values, " ")
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && values[j] + 0 < values[j - 1] + 0; j--) {
					t = values[j]; values[j] = values[j - 1]; values[j - 1] = t
				}
			return values[int(n / 2) + 1]
		}
		# what a program says of itself, once
		/^#/ { if (!($0 in said)) print; said[$0] = 1; next }
		{
			key = ""
			for (i = 1; i <= NF; i++) {
				split($i, word, "=")
				if (word[1] ~ /^(bench|target|engine|op|way|bs|qd|sndbuf|queues|threads)$/) key = key $i " "
				else {
					values[key, word[1]] = values[key, word[1]] " " word[2]
					if (!((key, word[1]) in seen)) {
						seen[key, word[1]] = 1
						words[key] = words[key] " " word[1]
					}
				}
				if (word[1] == "iops") iops = word[2]
				if (word[1] == "cpu_us_each") cpu = word[2]
			}
			if (!(key in known)) { known[key] = 1; keys[++count] = key }
			if ($1 == "bench=nvme") { target = iops; target_cpu = cpu }
			else if (target) {
				ratios[key] = ratios[key] " " target / iops
				costs[key] = costs[key] " " target_cpu / cpu
			}
		}
		END {
			for (k = 1; k <= count; k++) {
				n = split(words[keys[k]], name, " ")
				line = keys[k]
				for (i = 1; i <= n; i++)
					line = line name[i] "=" median(values[keys[k], name[i]]) " "
				sub(/ $/, "", line)
				print line
			}
			for (k = 1; k <= count; k++)
				if (keys[k] in ratios) {
					key = keys[k]
					sub(/bench=floor/, "bench=nvme ratio=target/floor", key)
					printf "%siops=%.3f cpu_for_each=%.3f\n", key,
						median(ratios[keys[k]]), median(costs[keys[k]])
				}
		}' "$1"
}

# target_ns: the processor time that its threads have had
target_ns() {
	cat "/proc/$target/task/"*/schedstat | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# initiator OP BYTES DEPTH SECONDS OPTION...: one round, and how busy the target was
initiator() {
	case="--op $1 --bs $2 --qd $3 --secs $4"
	shift 4
	used=$(target_ns)
	before=$(date +%s%N)
	# shellcheck disable=SC2086  # words
	line=$(taskset -c $initiator_cores nvmet/bench/nvme --target "$listen" --nqn $nqn $case "$@")
	used=$(($(target_ns) - used))
	awk -v line="$line" -v used=$used -v ns=$(($(date +%s%N) - before)) -v threads="$threads" \
		'BEGIN {
			commands = line
			sub(/.*commands=/, "", commands)
			sub(/ commands=[0-9]*/, "", line)
			sub(/queues=[0-9]+/, "& threads=" threads, line)
			printf "%s server_cpu=%.3f cpu_us_each=%.3f\n", line, used / ns,
				used / 1e3 / commands
		}'
}

# a read's rounds: the target, and the bare exchange both ways
reads() {
	round=0
	: >rounds.out
	while [ $round -lt "$rounds" ]; do
		{
			initiator read "$1" "$2" "$secs" --as-it-is
			nvmet/bench/floor send "$1" "$2" "$secs"
			nvmet/bench/floor zerocopy "$1" "$2" "$secs"
		} >>rounds.out
		round=$((round + 1))
	done
	medians rounds.out
}

# buffers_table: what the bare exchange costs with each size of the send buffer; sizes
# take turns
buffers_table() {
	rounds=15 secs=0.5
	[ -z "$SHORT" ] || rounds=1 secs=0.1
	for bytes in 4096 131072; do
		round=0
		: >rounds.out
		while [ $round -lt "$rounds" ]; do
			for sndbuf in 0 65536 131072 262144 524288 1048576; do
				nvmet/bench/floor send $bytes 32 $secs $sndbuf
			done >>rounds.out
			round=$((round + 1))
		done
		medians rounds.out | sed '/ratio=/d; s/bench=floor/bench=buffers/'
	done
}

# launch LOG CORES PROGRAM OPTION...: a target that is ready: $target and where it listens
launch() {
	log=$1 cores=$2 program=$3
	shift 3
	taskset -c "$cores" "$program" --listen 127.0.0.1:0 --nqn $nqn \
		--queue-size 256 --congestion reno "$@" >"$log" 2>&1 &
	target=$!
	until grep -q '^ready' "$log"; do sleep 0.1; done
	listen=$(sed -n 's/^ready listen=\([^ ]*\).*/\1/p' "$log")
}

# serve THREADS CORES INITIATOR_CORES OPTION...: a target that is ready, its region filled
serve() {
	threads=$1 cores=$2 initiator_cores=$3
	shift 3
	target=
	trap 'kill $target 2>/dev/null; wait $target' EXIT
	launch nvmet.log "$cores" nvmet/zcreq-nvmet --threads "$threads" "$@"
	initiator read 4096 32 0.1 >/dev/null
}

leave() {
	kill "$target"
	wait "$target" || true
	trap - EXIT
}

# every_depth COMMAND: with the sizes and depths of the table
every_depth() {
	"$1" 4096 32
	"$1" 131072 32
	"$1" 4096 1
	"$1" 4096 128
}

# alone BYTES DEPTH [OPTION...]: rounds without a floor
alone() {
	bytes=$1 depth=$2 round=0
	shift 2
	: >rounds.out
	while [ $round -lt "$rounds" ]; do
		initiator read "$bytes" "$depth" "$secs" --as-it-is "$@" >>rounds.out
		round=$((round + 1))
	done
	medians rounds.out
}

# as many queues as threads
two_queues() {
	alone "$1" "$2" --queues 2
}

# a target that never sleeps, as those do that poll
polled() {
	alone "$1" "$2" | sed 's/bench=nvme/& polled=1/'
}

idle() {
	used=$(target_ns)
	sleep 5
	used=$(($(target_ns) - used))
	echo "bench=nvme op=idle secs=5 cpu_percent=$(awk "BEGIN { printf \"%.3f\", $used / 5e9 * 100 }")"
}

nvme_table() {
	rounds=9 secs=1 # short ones: neighbours in time meet the same noise
	[ -z "$SHORT" ] || rounds=1 secs=0.3
	serve 1 0 1
	every_depth reads
	initiator write 4096 32 "$secs" --as-it-is
	initiator write 131072 32 "$secs" --as-it-is
	idle
	leave
	serve 1 0 1 --poll
	every_depth polled
	leave
	# both cores for everybody: what the second thread gets, the initiator has not
	serve 2 0,1 0,1
	every_depth two_queues
	leave
}
