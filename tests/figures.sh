#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# figures.sh - a measured figure stands in bench/figures.md, and nowhere else
#
# That page is what bench/tables/ gives. Another page may not have a result line of a
# benchmark, nor a number of three digits or more that is a result in those tables,
# whatever is written between its digits. Between the lines <!-- figures --> and
# <!-- end --> a page may show rows of that page, word for word; or say a figure in its own
# words, with some words of the result line behind it in backquotes.
#
# Numbers that a benchmark is given (sizes, depths, how many in flight) are no results.
. "${srcdir:-.}/tests/verdict.sh"

# shellcheck source=bench/figures.sh
. "$srcdir/bench/figures.sh"
figures_page "$srcdir/bench/tables" >"$tmp/page"
diff -u "$srcdir/bench/figures.md" "$tmp/page" ||
	fail "bench/figures.md is not what bench/tables/ gives: scripts/bench figures page"

# results: one a line; three digits at least, and no multiple of 50 or power of two, which
# limits and aims are; not the nanoseconds of gain, and no latencies, so many that any number is among them
results()
{
	grep -h '^bench=' "$srcdir"/bench/tables/*.txt | tr ' ' '\n' |
		grep -vE '^(bench|inflight|turn|turns|bytes|bs|qd|secs|conns|others|sends|requests|threads|queues|sndbuf|polled|call|design|order|op|way|ratio|what|state|path|cpu_ns_per_kib|p[0-9]+_us|max_us)=' |
		sed 's/.*=//' | awk '
			{ digits = $0; gsub(/\./, "", digits); sub(/^0+/, "", digits) }
			length(digits) < 3 || digits !~ /^[0-9]+$/ || digits % 50 == 0 { next }
			{ for (p = 1; p < $0; p *= 2); if (p != $0) print }' | sort -u
}
results >"$tmp/results"
[ -s "$tmp/results" ] || fail "no results were found"

# outside PAGE: what is not in a marked region, and no link or code that names a commit
outside() { sed '/^<!-- figures -->$/,/^<!-- end -->$/d' "$1"; }
inside() { sed -n '/^<!-- figures -->$/,/^<!-- end -->$/p' "$1" | grep '^|' | grep '[0-9]'; }

pages=$(cd "$srcdir" && ls ./*.md doc/*.md doc/*.[1-9] bench/*.md nvmet/doc/*.md | sed 's|^\./||')
for page in $pages; do
	[ "$page" = bench/figures.md ] && continue
	outside "$srcdir/$page" >"$tmp/outside"
	grep -nE '^bench=' "$tmp/outside" >"$tmp/copied" &&
		fail "$page has result lines: $(cat "$tmp/copied")"
	# 1 184 and 1,184 are 1184
	sed -E ':a; s/([0-9])[ ,]([0-9]{3})([^0-9]|$)/\1\2\3/; ta' "$tmp/outside" |
		grep -oE '[A-Za-z0-9_.=/-]+' | sed 's/[.]*$//' | sort -u >"$tmp/numbers"
	comm -12 "$tmp/results" "$tmp/numbers" >"$tmp/copied"
	[ -s "$tmp/copied" ] && fail "$page repeats figures of bench/figures.md: $(xargs <"$tmp/copied")"
	inside "$srcdir/$page" | while read -r row; do
		grep -qxF "$row" "$srcdir/bench/figures.md" || echo "$row"
	done >"$tmp/other"
	# quoted: one result line has all of these words, and the page says no other figure
	sed -n '/^<!-- figures -->$/,/^<!-- end -->$/p' "$srcdir/$page" | grep -v '^|' >"$tmp/inside"
	grep -oE '`[a-z0-9_]+=[^`]*`' "$tmp/inside" | tr -d '`' >"$tmp/quoted"
	awk -v quoted="$tmp/quoted" 'FILENAME == quoted { want[++n] = $0; next }
		{ for (i = 1; i <= n; i++) if (!(i in found)) {
			words = split(want[i], word, " "); there = 0
			for (w = 1; w <= words; w++) there += index(" " $0 " ", " " word[w] " ") > 0
			if (there == words) found[i] = 1 } }
		END { for (i = 1; i <= n; i++) if (!(i in found)) print want[i] }' \
		"$tmp/quoted" "$srcdir"/bench/tables/*.txt >>"$tmp/other"
	tr ' ' '\n' <"$tmp/quoted" | sed 's/.*=//' | sort -u >"$tmp/values"
	sed 's/`[^`]*=[^`]*`//g' "$tmp/inside" | grep -oE '[0-9][0-9.]*[0-9]' | sort -u |
		comm -12 "$tmp/results" - | comm -13 "$tmp/values" - >>"$tmp/other"
	[ -s "$tmp/other" ] && fail "$page shows what bench/figures.md does not say: $(cat "$tmp/other")"
done
exit $failed
