#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# shown.sh - what a page shows of a program is in its file, and is what it prints
#
# In a page of doc/, or in README, a block of code may have a line in front that names where it is from:
#
#	<!-- from FILE -->	its lines stand in FILE, one after the other
#	<!-- printed by PROGRAM -->	PROGRAM ends with 0, and prints this
#
# A program that ends with 77 cannot show it here, and is named. At the end defects are planted.
#
# Run by make check from the build tree. Uses: srcdir SANITIZE_CFLAGS
. "${srcdir:-.}/tests/verdict.sh"
skipped=0 shown=0

# blocks PAGE: each into a file of $tmp/blocks, whose first line says what it is
blocks()
{
	rm -rf "$tmp/blocks" && mkdir "$tmp/blocks" &&
		awk -v dir="$tmp/blocks" '
			/^<!-- (from|printed by) .* -->$/ { what = $2 " " $(NF - 1); next }
			/^```/ && on { on = 0; what = ""; close(file); next }
			/^```/ && what != "" { on = 1; file = sprintf("%s/%03d", dir, ++n); print what >file; next }
			on { print >file; next }
			what != "" && !/^$/ { print "FAIL: no code follows " what; what = "" }' "$1"
}

# within BLOCK FILE: all lines but the first of BLOCK stand in FILE together
within()
{
	awk 'NR == FNR { if (FNR > 1) want[++n] = $0; next }
		{ have[++m] = $0 }
		END {
			for (i = 1; i <= m - n + 1 && !found; i++) {
				for (j = 1; j <= n && have[i + j - 1] == want[j]; j++)
					;
				found = j > n
			}
			exit !(found && n)
		}' "$1" "$2"
}

page()
{
	blocks "$1" | grep . && failed=1
	for block in "$tmp"/blocks/*; do
		[ -f "$block" ] || continue
		read -r kind name <"$block"
		shown=$((shown + 1))
		if [ "$kind" = from ]; then
			within "$block" "$srcdir/$name" || fail "${1##*/} shows what is not in $name"
			continue
		fi
		timeout 60 "./$name" >"$tmp/said" 2>"$tmp/complaint"
		status=$?
		if [ $status = 77 ]; then
			echo "skipped: $(cat "$tmp/complaint" "$tmp/said")"
			skipped=$((skipped + 1))
		elif [ $status != 0 ] || ! sed 1d "$block" | cmp -s - "$tmp/said"; then
			fail "$name ended with $status: $(cat "$tmp/complaint" "$tmp/said")"
		fi
	done
}

for page in $(grep -lE '^<!-- (from|printed by) ' "$srcdir"/doc/*.md "$srcdir"/README*.md); do
	page "$page"
done
[ $shown -gt 0 ] || fail "no page shows anything"
# each program of the page is on it
for program in "$srcdir"/examples/by-hand/*.c; do
	name=${program##*/}
	[ "$name" = by-hand.c ] || grep -q "printed by examples/by-hand/${name%.c} -->" "$srcdir/doc/by-hand.md" ||
		fail "doc/by-hand.md does not have $name"
done
# what doc/by-hand.md says of the guard
object=$PWD/tools/guard/.libs/zcreq-guard.so
if [ -f "$object" ] && [ -z "${SANITIZE_CFLAGS:-}" ]; then
	for program in reuse last unread closed; do
		ZCREQ_GUARD_OBJECT=$object sh tools/guard/zcreq-guard "examples/by-hand/$program" >"$tmp/said" 2>&1
		status=$?
		# qemu-user does not translate what it takes
		if grep -q 'cannot watch this process: Function not implemented' "$tmp/said"; then
			echo "skipped: zcreq-guard on $program: $(cat "$tmp/said")"
			skipped=$((skipped + 1))
			continue
		fi
		[ $status = 66 ] || fail "zcreq-guard finds nothing in examples/by-hand/$program: $(cat "$tmp/said")"
	done
fi
[ $failed = 0 ] || exit 1

# ---- planted ----

planted()
{
	if (page "$tmp/planted"; [ $failed = 0 ]) >/dev/null 2>&1; then
		echo "FAIL: nobody noticed $1"
		exit 1
	fi
}
printf '%s\n' '<!-- from tests/shown.sh -->' '```' 'set -u' 'export LC_ALL=D' '```' >"$tmp/planted"
planted "a line that is not there"
printf '%s\n' '<!-- printed by examples/by-hand/wrap -->' '```' 'an end' '```' >"$tmp/planted"
planted "other words of a program"
echo "$shown blocks are shown as they are; $skipped programs could not run here"
[ $skipped = 0 ] || exit 77
