# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# figures.sh - the one page of figures, from the tables in bench/tables/. Sourced by
# scripts/bench and by tests/figures.sh.
#
# A table is a file of result lines under lines that say how they came about ("# command: ...").
# Lines of the same keys become one table of the page. Nothing is worked out or rounded
# here: what the page says is what a run has printed.

# head_of COMMAND: how what follows came about
head_of() {
	echo "# command: scripts/bench $1"
	echo "# measured: $(date +%Y-%m-%d), commit $(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)"
	echo "# machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
	echo "# kernel: $(uname -sr)"
	echo "# compiler: $(compiler) at -O2"
	# who has a socket sets it, and says so
	case $1 in
	lifecycle | bookkeeping) echo "# congestion control: no network is involved" ;;
	esac
}

# keep_tables: what the last run has left takes the place of the checked-in tables.
# The question that a table answers is not measured: it stays.
keep_tables() {
	for table in *.table; do
		name=${table%.table}
		kept=$top/bench/tables/$name.txt
		grep -q "^bench=" "$table" 2>/dev/null || continue
		{
			grep '^# asks: ' "$kept" 2>/dev/null || true
			grep -E '^# [a-z ]+: ' "$table" | awk '!said[$0]++'
			grep '^bench=' "$table"
		} >"$kept.new"
		mv "$kept.new" "$kept"
	done
}

# one_table FILE: a heading, how it was measured, and a table for each set of keys
one_table() {
	printf '\n## %s\n\n' "$(basename "$1" .txt)"
	awk '
		function flush_rows(  i) {
			if (!rows) return
			print ""
			line = "|"; rule = "|"
			for (i = 1; i <= columns; i++) { line = line " " name[i] " |"; rule = rule " ---: |" }
			print line "\n" rule
			for (i = 1; i <= rows; i++) print row[i]
			rows = 0
		}
		/^# asks: / { print substr($0, 9) "\n"; next }
		/^# note: / { note = substr($0, 9); next }
		/^# / { sub(/^# /, "- "); print; next }
		/^bench=/ {
			keys = ""
			for (i = 2; i <= NF; i++) keys = keys " " substr($i, 1, index($i, "=") - 1)
			if (keys != last) {
				flush_rows()
				last = keys
				columns = split(keys, name, " ")
			}
			line = "|"
			for (i = 2; i <= NF; i++) line = line " " substr($i, index($i, "=") + 1) " |"
			row[++rows] = line
		}
		END { flush_rows(); if (note) print "\n" note }' "$1"
}

# figures_page FOLDER: the page, from the tables in it
figures_page() {
	cat <<-'END'
		# Figures

		Written by `scripts/bench figures` from the tables in `bench/tables/`, each as its benchmark
		printed it. Do not edit: run the benchmark again. No other page repeats a figure from here;
		`tests/figures.sh` compares. What each benchmark asks, and how to read it, is in
		[README.md](README.md).
	END
	for file in "$1"/*.txt; do
		one_table "$file"
	done
}
