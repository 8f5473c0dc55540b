# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# counts.sh - instructions instead of time, and the gate that holds them. Sourced by
# scripts/bench, in the build folder.
#
# A count is the same on a busy machine and on a quiet one, so it can stop a change
# that a time could not. It depends on the compiler, which the table therefore names.

gate_percent=3
gate_table=$top/bench/instructions.txt

# counted PROGRAM ARGUMENT...: runs it under callgrind, which counts from where the
# program says so; leaves callgrind.out
counted() {
	program=$1
	shift
	LD_BIND_NOW=1 ./libtool --mode=execute valgrind --tool=callgrind --instr-atstart=no \
		--compress-strings=no --callgrind-out-file=callgrind.out \
		"bench/$program" "$@" >callgrind.log 2>&1 || {
		cat callgrind.log >&2
		exit 1
	}
}

# of_library REQUESTS: what the library's own code took for each request.
# "bookkeeping" is what the request itself takes: its table, states, callbacks.
of_library() {
	awk -v requests="$1" '
		/^ob=/ { ours = /libzcreq/ }
		/^fl=|^fi=|^fe=/ { sub(/^f[lie]=/, ""); file = $0 }
		/^calls=/ { skip = 1; next }
		/^[0-9+*-]/ {
			if (skip) { skip = 0; next }
			if (!ours) next
			all += $2
			if (file ~ /lib\/core\//) core += $2
		}
		END { printf "instructions=%.0f bookkeeping=%.0f transfer=%.0f\n",
			all / requests, core / requests, (all - core) / requests }' callgrind.out
}

# of_all REQUESTS: what everything but the benchmark itself took, libc included
of_all() {
	awk -v requests="$1" '
		/^fl=/ { ours = !/bench\/(bookkeeping|free_socket)\.c$/ }
		/^calls=/ { skip = 1; next }
		/^[0-9+*-]/ {
			if (skip) { skip = 0; next }
			if (ours) all += $2
		}
		END { printf "instructions=%.0f\n", all / requests }' callgrind.out
}

# all of scale, then instructions of a turn and of a round of a libev loop
scale_table() {
	./libtool --mode=execute bench/scale
	for case in "turn 100" "turn 10000" "loop 100" "loop 9900"; do
		# shellcheck disable=SC2086  # two words
		counted scale $case
		echo "$(grep '^bench=' callgrind.log) $(of_library 1000 | cut -d ' ' -f 1)"
	done
}

# the published designs and ours, in both orders
bookkeeping_table() {
	for order in fifo reverse; do
		for inflight in 1 128 4096 65536; do
			for design in list map maps zcreq; do
				set -- "$design" "$order" "$inflight"
				plain=$(./libtool --mode=execute bench/bookkeeping "$@" "$(requests_of "$@")")
				requests=$([ "$order" = fifo ] && echo 20480 || echo 256)
				counted bookkeeping "$@" "$requests"
				echo "$plain $(of_all "$requests")"
			done
		done
	done
}

# requests_of DESIGN ORDER INFLIGHT: as many as take about a second
requests_of() {
	case $*:$SHORT in
	*:1) echo 2048 ;;
	"list reverse 65536:") echo 2560 ;;
	"list reverse 4096:") echo 65536 ;;
	*" reverse 65536:") echo 65536 ;;
	*) echo 2097152 ;;
	esac
}

# lifecycle at three numbers in flight, one by one and in batches
lifecycle_table() {
	requests=20000
	for case in "1 1" "1000 1" "1000000 1" "1000 50" "1000000 50"; do
		inflight=${case% *} turn=${case#* }
		plain=$(./libtool --mode=execute bench/lifecycle "$inflight" 1000000 "$turn")
		counted lifecycle "$inflight" "$requests" "$turn"
		echo "$plain $(of_library "$requests")"
	done
}

compiler() {
	compiler=${CC:-gcc} # with what may stand before it: ccache
	compiler=${compiler##* }
	echo "$compiler-$("$compiler" -dumpfullversion)-$(uname -m)"
}

# row PROGRAM REQUESTS ARGUMENT...: the instructions of one row of the table
row() {
	program=$1 requests=$2
	shift 2
	counted "$program" "$@"
	of_library "$requests" | sed 's/^instructions=\([0-9]*\).*/\1/'
}

# gate: every row of the table again; fails if one takes clearly more than it did.
# gate --renew writes what is counted now into the table.
gate() {
	was=$(sed -n 's/^compiler //p' "$gate_table")
	if [ "${1:-}" != --renew ] && [ "$was" != "$(compiler)" ]; then
		say "gate: the table was counted with $was, this is $(compiler): nothing to compare"
		exit 77
	fi
	grep -v '^#\|^compiler' "$gate_table" >gate.rows
	grep '^#' "$gate_table" >gate.new
	echo "compiler $(compiler)" >>gate.new
	bad=0 good=0
	while read -r before words; do
		# shellcheck disable=SC2086  # the words of a row
		now=$(row $words </dev/null)
		echo "$now $words" >>gate.new
		percent=$(awk "BEGIN { printf \"%+.1f\", ($now / $before - 1) * 100 }")
		echo "bench=gate case=$(echo "$words" | tr ' ' ,) before=$before now=$now percent=$percent"
		if awk "BEGIN { exit !($percent > $gate_percent) }"; then
			bad=$((bad + 1))
		else
			good=$((good + 1))
		fi
	done <gate.rows
	if [ "${1:-}" = --renew ]; then
		cp gate.new "$gate_table"
		say "gate: wrote $gate_table"
		return
	fi
	echo "gate: $good passed, $bad failed"
	[ "$bad" = 0 ] || {
		say "gate: above +$gate_percent %. If that is the price of something worth it, say so" \
			"in the commit and renew the table: scripts/bench gate --renew"
		exit 1
	}
}
