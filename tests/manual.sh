#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# manual.sh - the manual says what the headers, the tables and the programs say
#
#   pages       mandoc has nothing to say against any, and no page leads nowhere
#   symbols     each exported function has its page, and there is no other
#   prototypes  the compiler takes those of the pages beside the headers
#   states      zcreq-lifecycle(7) has the tables as the code has them
#   options     each program knows the options of its page, and no other
#   examples    what the pages show is compiled, or called, and runs
#
# At the end defects are planted, and have to be found.
#
# Run by make check from the build tree. Uses: srcdir CC SANITIZE_CFLAGS
. "${srcdir:-.}/tests/verdict.sh"
CC=${CC:-cc}
command -v mandoc >/dev/null || { echo "mandoc is not installed"; exit 77; }

# made HEADERS...: section 3 into $tmp/man3
made()
{
	rm -rf "$tmp/man3" && mkdir "$tmp/man3" &&
		awk -v out="$tmp/man3" -v date="$(sed -n 's/^\.Dd //p' "$srcdir/doc/zcreq.7")" \
			-f "$srcdir/doc/man/headers.awk" "$@"
}

# version.h is made, and lies here only after a build in the tree
headers=$(find "$srcdir/include/zcreq" -name '*.h' ! -name version.h | sort)
by_hand=$(ls "$srcdir"/doc/*.[1-9] "$srcdir"/tools/*/*.[1-9] "$srcdir"/nvmet/doc/*.[1-9] 2>/dev/null)

pages()
{
	# that some manual is not installed on this machine is no defect of a page
	# shellcheck disable=SC2086  # a list
	mandoc -T lint -W style "$tmp"/man3/*.3 $by_hand 2>/dev/null |
		grep -v 'referenced manual not found' | grep . && fail "mandoc does not like that"
	{
		for page in "$tmp"/man3/*.3 $by_hand; do
			page=${page##*/}
			echo "${page%.*} ${page##*.}"
		done
		sed 's/^.* \(.*\)\.3$/\1 3/' "$tmp/man3/links"
	} | sort -u >"$tmp/there"
	# shellcheck disable=SC2086
	cat "$tmp"/man3/*.3 $by_hand | grep -oE '\bXr zcreq[a-z0-9_.-]* [0-9]' | cut -c4- | sort -u |
		comm -23 - "$tmp/there" | grep . && fail "there is no such page"
	for header in $headers; do
		header=${header##*/}
		[ "$header" = zcreq.h ] || grep -q "^\.It Xr zcreq_$header 3$" "$srcdir/doc/zcreq.7" ||
			fail "zcreq(7) does not name zcreq_$header(3), so make html leaves it out"
	done
}

symbols()
{
	{
		cat "$srcdir"/lib/libzcreq.map "$srcdir"/lib/*/*.map | grep -oE '^	zcreq_[a-z0-9_]+;' |
			tr -d ';\t' | grep -v '^zcreq_guard_\(of\|set\)$'
		sed -n 's/^static inline .*\(zcreq_[a-z0-9_]*\)(.*/\1/p' "$srcdir"/include/zcreq/*.h
	} | sort >"$tmp/exported"
	sed -n 's/^\.Fo //p' "$tmp"/man3/*.3 | sort >"$tmp/documented"
	diff "$tmp/exported" "$tmp/documented" ||
		fail "exported without a page ('<'), or a page of what is not exported ('>')"
	sed 's|.*|'"$tmp/man3"'/&.3|' "$tmp/documented" | while read -r page; do
		[ -f "$page" ] || echo "there is no $page"
	done | grep . && fail "a function has its page under another name"
	grep -L -e '^\.Ft void$' -e '^\.Sh RETURN VALUES$' $(sed 's|.*|'"$tmp/man3"'/&.3|' "$tmp/documented") |
		grep . && fail "returns something, and its comment has no Return:"
	# an error that the header names is in the page: "FUNCTION -ERRNO"
	awk '/^ \* zcreq_[a-z0-9_]+\(\) - / { name = substr($2, 1, index($2, "(") - 1) }
		/^ \* Errors:/ { on = 1 } /^ \* (Source|Since):|\*\// { on = 0 }
		on { while (match($0, /-E[A-Z0-9][A-Z0-9]+/)) {
			print name, substr($0, RSTART, RLENGTH)
			$0 = substr($0, RSTART + RLENGTH)
		} }' "$srcdir"/include/zcreq/*.h "$srcdir"/include/zcreq/*.in | sort -u >"$tmp/errors"
	(cd "$tmp/man3" && grep -oE -e '-E[A-Z0-9]{2,}' -- *.3) | sed 's/\.3:/ /' | sort -u >"$tmp/told"
	[ -s "$tmp/errors" ] || fail "no header has an error"
	comm -23 "$tmp/errors" "$tmp/told" | grep . && fail "an error was lost on the way to the page"
}

prototypes()
{
	{
		for header in "$srcdir"/include/zcreq/*.h; do
			echo "#include <zcreq/${header##*/}>"
		done
		awk '/^\.Ft / { type = substr($0, 5) }
			/^\.Fo / { line = type " " $2 "("; n = 0; on = 1 }
			on && /^\.Fa "/ {
				sub(/^\.Fa "/, "")
				sub(/"$/, "")
				line = line (n++ ? ", " : "") $0
			}
			/^\.Fc/ { print line ");"; on = 0 }' "$tmp"/man3/*.3
	} >"$tmp/prototypes.c"
	$CC -std=c99 -Werror -fsyntax-only -I"$srcdir/include" -Iinclude "$tmp/prototypes.c" 2>"$tmp/said" ||
		fail "prototypes of pages are not those of the headers: $(grep -m 3 error "$tmp/said")"
}

states()
{
	awk -f "$srcdir/doc/man/states.awk" "$srcdir/lib/core/transitions.h" "$srcdir/lib/core/conn.c" "$1" |
		diff "$1" - || fail "$1 has other tables than lib/core: draw it with doc/man/states.awk"
	grep -q 'drawn from' "$1" || fail "nothing in $1 is drawn"
}

# options PROGRAM PAGE
options()
{
	[ -x "$1" ] || { echo "note: $1 is not built here"; return; }
	"$1" --help | grep -oE '^[ u].*' | grep -oE -e '--[a-z0-9-]+' | sort -u >"$tmp/known"
	sed -n '/^\.Sh DESCRIPTION/,/^\.Sh EXIT/p' "$2" | grep '^\.It Fl' |
		grep -oE -e ' -[a-z0-9-]+' | sed 's/^ /-/' | sort -u >"$tmp/told"
	diff "$tmp/known" "$tmp/told" || fail "${2##*/} ('>') and $1 --help ('<') differ"
}

# linked FILE LIBRARY...: compiles FILE.c in $tmp, and makes a program of it
linked()
{
	file=$1
	shift
	# shellcheck disable=SC2086  # lists of words
	$CC -std=gnu11 -Wall -Wextra -Werror ${SANITIZE_CFLAGS:-} -I"$srcdir/include" -Iinclude -c \
		-o "$tmp/$file.o" "$tmp/$file.c" &&
		./libtool --quiet --tag=CC --mode=link $CC ${SANITIZE_CFLAGS:-} -no-install \
			-o "$tmp/$file" "$tmp/$file.o" "$@"
}

# literal PAGE: its first block of text as it stands
literal() { sed -n '/^\.Bd -literal$/,/^\.Ed$/p' "$1" | sed '1d;$d; s/\\e/\\/g'; }

# commands PAGE: what it says to be typed
commands() { sed -n '/^\.Sh EXAMPLES/,/^\.Sh [^E]/s/^\.Dl //p' "$1"; }

examples()
{
	literal "$srcdir/doc/zcreq.7" >"$tmp/example.c"
	if linked example libzcreq.la; then
		"$tmp/example" | grep -qx 'released, status 0' || fail "the example of zcreq(7) does not work"
	else
		fail "the example of zcreq(7) is not compiled"
	fi
	# the code of headers that no other test compiles, each as a function
	{
		sed -n '1,/^PRINTED$/p' "$srcdir/tests/man/printed.c.in" | sed '$d'
		echo 'static void printed_offer(void)'
		block "$srcdir/include/zcreq/sender.h" 'zcreq_offer\('
		echo 'static void printed_page(void)'
		block "$srcdir/include/zcreq/page.h" 'zcreq_page_map\(' | sed "s|/run/server/stats|$tmp/page|"
		echo 'static void printed_guard(void)'
		block "$srcdir/include/zcreq/guard.h" 'zcreq_guard_attach\('
		if [ -f libzcreq-uring.la ]; then
			echo '#define PRINTED_URING'
			echo 'static struct zcreq_uring *ring;'
			echo 'static void printed_uring(void)'
			block "$srcdir/include/zcreq/uring.h" 'zcreq_uring_new\('
		fi
		sed '1,/^PRINTED$/d' "$srcdir/tests/man/printed.c.in"
	} >"$tmp/printed.c"
	uring=
	[ -f libzcreq-uring.la ] && uring=libzcreq-uring.la
	# shellcheck disable=SC2086
	if linked printed $uring libzcreq-guard.la libzcreq.la; then
		"$tmp/printed" "$tmp/dump" || fail "what headers print does not work"
	else
		fail "what headers print is not compiled"
	fi
	# a picture or a sample of output is no code; a new block has to be put somewhere
	for header in "$srcdir"/include/zcreq/*.h; do
		echo "${header##*/} $(awk '/^ \*\t/ { n += !on; on = 1; next } /^ \*$/ && on { next } { on = 0 }
			END { print n + 0 }' "$header")"
	done | grep -v ' 0$' >"$tmp/blocks"
	diff - "$tmp/blocks" <<-END || fail "a header prints something that nobody compiles: tests/manual.sh"
		context.h 1
		ev.h 1
		explain.h 1
		guard.h 2
		page.h 1
		sender.h 2
		threads.h 1
		uring.h 1
	END
	called
}

# block HEADER PATTERN: the printed code in which PATTERN stands, in braces
block()
{
	echo '{'
	awk -v pattern="$2" '/^ \*\t/ { text = text substr($0, 4) "\n"; next }
		/^ \*$/ && text != "" { next }
		{ if (text ~ pattern) printf "%s", text; text = "" }' "$1"
	echo '}'
}

# what is to be typed, with what is built here
called()
{
	here=$PWD
	{
		if [ -x tools/trace/zcreq-trace ]; then
			commands "$srcdir/tools/trace/zcreq-trace.1" | sed "s|^zcreq-trace|$here/tools/trace/zcreq-trace|"
		fi
		if [ -x tools/top/zcreq-top ]; then
			commands "$srcdir/tools/top/zcreq-top.1" | grep ^zcreq-top |
				sed "s|/run/nvmet|page|; s|/run/||g; s|/var/lib/node/||; s|^|$here/tools/top/|"
		fi
		if [ -f tools/guard/.libs/zcreq-guard.so ] && [ -z "${SANITIZE_CFLAGS:-}" ]; then
			commands "$srcdir/tools/guard/zcreq-guard.1" |
				sed "s|zcreq-guard |sh $here/tools/guard/zcreq-guard |; s|/tmp/guard|$tmp/guard|"
		fi
		if [ -x nvmet/zcreq-nvmet ]; then
			commands "$srcdir/nvmet/doc/zcreq-nvmet.8" | grep ^zcreq-nvmet |
				sed "s|^zcreq-nvmet\(.*\)|$here/nvmet/zcreq-nvmet\1 --help >/dev/null|"
		fi
	} >"$tmp/commands"
	[ -s "$tmp/commands" ] || fail "no page says what to type"
	while read -r command; do
		(cd "$tmp" && ZCREQ_GUARD_OBJECT=$here/tools/guard/.libs/zcreq-guard.so sh -c "$command" </dev/null) ||
			fail "does not work: $command"
	done <"$tmp/commands"
}

# shellcheck disable=SC2086  # a list
made $headers "$srcdir/include/zcreq/version.h.in" || exit 1
pages
symbols
prototypes
states "$srcdir/doc/zcreq-lifecycle.7"
options tools/trace/zcreq-trace "$srcdir/tools/trace/zcreq-trace.1"
options tools/top/zcreq-top "$srcdir/tools/top/zcreq-top.1"
options nvmet/zcreq-nvmet "$srcdir/nvmet/doc/zcreq-nvmet.8"
examples
[ $failed = 0 ] || exit 1

# ---- planted ----

# planted WHAT CHECK...: the check has to fail
planted()
{
	what=$1
	shift
	if ("$@"; [ $failed = 0 ]) >/dev/null 2>&1; then
		echo "FAIL: nobody noticed $what"
		exit 1
	fi
}
cp "$tmp/documented" "$tmp/kept"
sed 's/const void \*data, size_t len/const void *data, int len/' "$srcdir/include/zcreq/stream.h" >"$tmp/stream.h"
made "$tmp/stream.h" || exit 1
planted "another prototype" prototypes
planted "missing pages" symbols
sed 's/zcreq_turn(/zcreq_return(/' "$srcdir/include/zcreq/stream.h" >"$tmp/stream.h"
made "$tmp/stream.h" || exit 1
planted "a page that leads nowhere" pages
sed 's/-- drain -->/-- finish -->/' "$srcdir/doc/zcreq-lifecycle.7" >"$tmp/drawn.7"
planted "another transition" states "$tmp/drawn.7"
echo "$(wc -l <"$tmp/kept") functions have their page, $(echo "$by_hand" | wc -l) pages are written by hand"
