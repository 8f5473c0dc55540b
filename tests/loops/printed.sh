#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# printed.sh - the loops that headers and pages print, as C files; and that none is left out
#
#   printed.sh turns PAGE   the code in a comment of PAGE that calls zcreq_turn(), as a
#   printed.sh ev PAGE      function of check_printed.c; the one that calls ev_run()
#   printed.sh hello FILE   the program FILE, whose main() is called printed_hello()
#   printed.sh              (make check) each printed text that waits or turns is one of these
#
# The text is compiled as it stands there. A line of three dots is the program's own part.
# Uses: srcdir
set -eu
export LC_ALL=C
src=${srcdir:-.}

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

# blocks PAGE: each line of code that is printed there, after the number of its block
blocks()
{
	case $1 in
	*.h) awk '/^ \*\t/ { if (!on) n++; on = 1; sub(/^ \*\t/, ""); print n "\t" $0; next }
		/^ \*$/ && on { next } { on = 0 }' "$1" ;;
	*.md) awk '/^<!-- from / { shown = 1; next } /^```/ { on = !on; n += on; shown = shown && on; next }
		on && !shown { print n "\t" $0 }' "$1" ;;
	*) awk '/^\.(nf|EX|Bd -literal)/ { on = 1; n++; next } /^\.(fi|EE|Ed)/ { on = 0 }
		on { print n "\t" $0 }' "$1" ;;
	esac
}

# waiting PAGE CALL: the numbers of the blocks with a statement that makes that call
waiting()
{
	blocks "$1" | grep -E "(^|[^a-z_])($2)\(.*;\$" | cut -f 1 | sort -un
}

# text PAGE CALL: the only such block
text()
{
	number=$(waiting "$1" "$2")
	[ "$(echo "$number" | wc -w)" = 1 ] || fail "$1 prints not one text that calls $2()"
	blocks "$1" | awk -F'\t' -v n="$number" '$1 == n { sub(/^[0-9]*\t/, ""); print }' |
		sed 's/^\([ \t]*\)\.\.\.$/\1PRINTED_REST();/'
}

# unit PAGE CALL HEADER PROTOTYPE
unit()
{
	printf '/* made by tests/loops/printed.sh from %s */\n' "${1##*/}"
	printf '#include "loops/printed.h"\n%s\n%s\n{\n' "$3" "$4"
	text "$1" "$2"
	printf '}\n'
}

case ${1:-} in
turns)
	unit "$2" zcreq_turn '' \
		'void printed_turns(struct zcreq_context *context, struct pollfd *fds, nfds_t n)'
	exit ;;
ev)
	unit "$2" ev_run '#include "loops/printed_ev.h"
#pragma GCC diagnostic ignored "-Wunused-result"' 'PRINTED_EV'
	exit ;;
hello)
	echo '/* made by tests/loops/printed.sh from examples/hello.c */'
	echo '#define main printed_hello'
	echo 'int printed_hello(void);'
	cat "$2"
	exit ;;
esac

# ---- none is left out ----

# doc/zcreq.7 is compiled by tests/manual.sh; what a page shows of a file is held by shown.sh
known="include/zcreq/context.h include/zcreq/ev.h doc/zcreq.7"
calls='poll|ppoll|select|epoll_p?wait2?|ev_run|uv_run|g_main_loop_run|g_main_context_iteration|zcreq_turn'
found=$(mktemp)
trap 'rm -f "$found"' EXIT
cd "$src"
for page in include/zcreq/*.h include/zcreq/*.in README*.md NEWS.md HACKING.md doc/*.md doc/*.[1-9] nvmet/doc/*.md examples/*.md; do
	[ -e "$page" ] || continue
	for number in $(waiting "$page" "$calls"); do
		echo "$page"
	done
done >"$found"
for page in $known; do
	grep -qx "$page" "$found" || fail "$page is said to print a loop, and none was found"
done
sort "$found" | uniq -d | grep . && fail "prints two texts that wait or turn; tests/loops/room.am compiles one"
for page in $known; do
	grep -vx "$page" "$found" >"$found.rest" || :
	mv "$found.rest" "$found"
done
[ ! -s "$found" ] || fail "these print a loop that no test compiles: $(xargs <"$found")"
echo "loops are printed in: $known"
