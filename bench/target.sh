# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# target.sh - the target of examples/nvme-tcp on one core, the initiator on the other.
# Sourced by scripts/bench, in the build folder.

nvme_table() {
	nqn=nqn.2014-08.org.example:zcreq-bench
	taskset -c 0 examples/nvme-tcp/zcreq-nvmet --listen 127.0.0.1:0 --nqn $nqn >nvmet.log 2>&1 &
	target=$!
	trap 'kill $target 2>/dev/null; wait $target' EXIT
	until grep -q '^ready' nvmet.log; do sleep 0.1; done
	listen=$(sed -n 's/^ready listen=\([^ ]*\).*/\1/p' nvmet.log)
	for case in "read 4096 32" "read 4096 1" "read 131072 32" "write 4096 32" "write 131072 32"; do
		# shellcheck disable=SC2086  # three words
		set -- $case
		taskset -c 1 bench/nvme --target "$listen" --nqn $nqn --op "$1" --bs "$2" --qd "$3" --secs 3
	done
	ticks=$(awk '{ print $14 + $15 }' /proc/$target/stat)
	sleep 5
	ticks=$(($(awk '{ print $14 + $15 }' /proc/$target/stat) - ticks))
	echo "bench=nvme op=idle secs=5 cpu_percent=$(awk "BEGIN { print $ticks / $(getconf CLK_TCK) / 5 * 100 }")"
}
