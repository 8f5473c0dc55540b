#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# pages.sh - what pages and comments cite is in the tree
#
# In pages: each path from the top (`lib/core/conn.c`), each header (`zcreq/conn.h`), each
# function (`zcreq_send()`), each test (`tests/ROOM/FILE.c:NAME`), each link. In comments
# and scripts: each page and each function; and the name of the file itself at its head. A
# path may also be a program that a room.am names. What has capitals or a star where a name
# would be is a pattern, and is not asked.
. "${srcdir:-.}/tests/verdict.sh"
cd "$srcdir" || exit 99

tops="bench contrib doc examples include lib nvmet scripts tests tools"
sources=$(find bench contrib examples include lib nvmet tests tools -name '*.[ch]' -o -name '*.h.in' | sort)
pages=$(ls ./*.md doc/*.md doc/*.[1-9] bench/*.md nvmet/doc/*.md contrib/*/*.md tools/*/*.[1-9] nvmet/doc/*.[1-9] .github/*/*.md 2>/dev/null | sed 's|^\./||')
others=$(find bench contrib lib nvmet scripts tests tools .ci -type f \
	\( -name '*.sh' -o -name '*.am' -o -name '*.py' -o -name '*.pml' -o ! -name '*.*' \) 2>/dev/null |
	grep -v -e corpus/ -e '^tests/pages.sh$')

# every name that is called or defined with an argument list, comments not asked
cat $sources | grep -oE '\bzcreq_[a-z0-9_]+\(([^)]|$)' | sed 's/(.*//' | sort -u >"$tmp/functions"
cat $(find . -name room.am -not -path './build*') Makefile.am | tr -s ' \t\\=' '\n' | sort -u >"$tmp/built"

# there PATH: a file, a folder, or something that is built
there()
{
	[ -e "$1" ] || [ -e "$1.in" ] || grep -qxF "$1" "$tmp/built"
}

# paths: those from the top that a page cites, one a line
paths()
{
	grep -oE "(^|[^A-Za-z0-9_./-])($(echo $tops | tr ' ' '|'))/[A-Za-z0-9_.*/-]*" "$1" |
		sed -E 's/^[^a-z]//; s/[.:-]+$//; s|/$||' | grep -v '[A-Z*]' | sort -u
}

for page in $pages; do
	for path in $(paths "$page"); do
		there "$path" || there "${page%/*}/$path" || fail "$page: there is no $path"
	done
	for header in $(grep -oE '[`</ ]zcreq/[a-z]+\.h' "$page" | sed 's/^.//' | sort -u); do
		there "include/$header" || fail "$page: there is no $header"
	done
	for test in $(grep -oE '`tests/[a-z_/]+\.c:[a-z0-9_]+`' "$page" | tr -d '`' | sort -u); do
		grep -q "START_TEST(${test#*:})" "${test%%:*}" 2>/dev/null ||
			fail "$page: there is no test $test"
	done
	for link in $(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^[a-z]*:' | sort -u); do
		case $page in */*) from=${page%/*} ;; *) from=. ;; esac
		[ -e "$from/$link" ] || fail "$page: the link to $link leads nowhere"
	done
done

# all files at once: a process for each would take minutes
grep -oHE '\bzcreq_[a-z0-9_]+\(\)' $pages $sources $others | sort -u |
	awk -F '[:(]' 'NR == FNR { there[$1] = 1; next }
		!($2 in there) { print "FAIL: " $1 ": there is no function " $2 "()" }' \
		"$tmp/functions" - >"$tmp/missing"
grep -oHE '[$A-Za-z0-9_./-]+\.md\b' $sources $others | sed 's|\$[a-z]*/||g' | sort -u |
	while IFS=: read -r file page; do
		[ -e "$page" ] || echo "FAIL: $file: there is no page $page"
	done >>"$tmp/missing"
# the first comment of a file begins with its name
awk 'FNR > 1 && FNR < 5 && /^ \* [a-z0-9_-]*\.[ch] - / && !(FILENAME in seen) {
		seen[FILENAME] = 1
		name = FILENAME
		sub(/.*\//, "", name)
		if ($2 != name)
			print "FAIL: " FILENAME " calls itself " $2
	}' $(echo "$sources" | grep '\.[ch]$') >>"$tmp/missing"
cat "$tmp/missing"
[ -s "$tmp/missing" ] && failed=1

# the page of all functions has each of them once, and counts them; what is exported for
# libzcreq-guard alone is none of them
all=0
for map in lib/libzcreq.map lib/*/*.map; do
	for name in $(grep -oE 'zcreq_[a-z0-9_]+;' "$map" | tr -d ';' | grep -v '^zcreq_guard_\(of\|set\)$'); do
		all=$((all + 1))
		[ "$(grep -oE "\\b$name\\(\\)" doc/interface.md | wc -l)" = 1 ] ||
			fail "doc/interface.md: $name() does not stand there once"
	done
done
grep -q "In all $all functions" doc/interface.md ||
	fail "doc/interface.md: there are $all functions"

[ -n "$pages" ] && [ -n "$sources" ] && [ -s "$tmp/functions" ] || fail "nothing found to look at"
[ $failed = 0 ] && echo "$(echo "$pages" | wc -l) pages, $(echo "$sources" | wc -l) sources"
exit $failed
