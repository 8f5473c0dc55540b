#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# headers.sh - what is promised, declared and exported is the same thing
#
# Headers compile alone, as C99 and as C++; the symbols of the shared library are
# those of the version script and of the prototypes; each public function is
# documented, and what can fail says how; the library needs libc and nothing else. What
# one library exports for another of ours is in a node of its own, and in no header here.
#
# Run by make check from the build tree. Uses: srcdir CC CXX OBJDUMP SANITIZE_CFLAGS
. "${srcdir:-.}/tests/verdict.sh"
CC=${CC:-cc} CXX=${CXX:-c++} OBJDUMP=${OBJDUMP:-objdump}

if ! command -v "${CXX%% *}" >/dev/null; then
	echo "no C++ compiler here: C++ not checked"
	CXX=no
fi

# same NAME FILE NAME FILE: both have the same lines
same() {
	if ! diff "$2" "$4" >"$tmp/diff"; then
		fail "$1 (<) and $3 (>) differ:"
		cat "$tmp/diff"
	fi
}

header() {
	if [ -f "$srcdir/include/zcreq/$1" ]; then
		echo "$srcdir/include/zcreq/$1"
	else
		echo "include/zcreq/$1"
	fi
}

# library NAME MAP HEADER...: what the functions below look at
library() {
	map=$srcdir/$2
	so=.libs/$1.so
	shift 2
	headers=$*
	files=
	for name; do
		files="$files $(header "$name")"
	done
}

compile_alone() {
	for name in $headers zcreq.h; do
		printf '#include <zcreq/%s>\n#include <zcreq/%s>\n' "$name" "$name" >"$tmp/alone.c"
		echo 'int main(void) { return 0; }' >>"$tmp/alone.c"
		cp "$tmp/alone.c" "$tmp/alone.cc"
		$CC -std=c99 -pedantic-errors -Wall -Wextra -Wshadow -Wundef -Werror \
			-I"$srcdir/include" -Iinclude -fsyntax-only "$tmp/alone.c" ||
			fail "$name does not compile alone as C99"
		[ "$CXX" = no ] && continue
		$CXX -std=c++11 -pedantic-errors -Wall -Wextra -Wshadow -Wundef -Werror \
			-I"$srcdir/include" -Iinclude -fsyntax-only "$tmp/alone.cc" ||
			fail "$name does not compile alone as C++11"
	done
}

# Prototypes begin at the left margin; what is static inline is not exported.
prototypes() {
	grep -hE '^[a-z][a-z0-9_ *]*[ *]zcreq_[a-z0-9_]+\(' $files |
		sed -E 's/^(.*[ *])(zcreq_[a-z0-9_]+)\(.*/\1 \2/'
}

# mapped NODE: what the map has in the nodes of that name
mapped() {
	awk -v node="^($1)[0-9.]+ \\{" '$0 ~ node { inside = 1 } /^}/ { inside = 0 }
		inside && /^[[:space:]]*zcreq_[a-z0-9_]*;$/ { gsub(/[[:space:];]/, ""); print }' "$map" | sort
}

# exported NODE: what the library has of such nodes
exported() {
	$OBJDUMP -T "$so" | awk -v node=" ($1)[0-9]" \
		'$0 ~ node && !/\*ABS\*/ && !/\*UND\*/ {print $NF}' | sort
}

nodes='ZCREQ_|ZCREQ_EV_|ZCREQ_GUARD_|ZCREQ_URING_'

compare_symbols() {
	prototypes | grep -v '^static' | sed 's/.* //' | sort >"$tmp/prototypes"
	mapped "$nodes" >"$tmp/map"
	[ -s "$tmp/prototypes" ] || fail "no prototypes were found"
	same prototypes "$tmp/prototypes" "$map" "$tmp/map"
	[ -f "$so" ] || return
	exported "$nodes" >"$tmp/exported"
	same "$map" "$tmp/map" "exported symbols" "$tmp/exported"
	$OBJDUMP -T "$so" | awk -v node=" ($nodes|ZCREQ_PRIVATE_)[0-9]" \
		'!/\*UND\*/ && !/\*ABS\*/ && / g / && $0 !~ node {print $NF}' >"$tmp/stray"
	[ -s "$tmp/stray" ] && fail "exported without a version: $(cat "$tmp/stray")"
}

# private HEADER: what is exported for our other libraries is what it declares visible
private() {
	sed -n '/visibility push(default)/,/visibility pop/p' "$srcdir/lib/$1" |
		sed -n 's/^[a-z].*[ *]\(zcreq_[a-z0-9_]*\)(.*/\1/p' | sort >"$tmp/declared"
	mapped ZCREQ_PRIVATE_ >"$tmp/map"
	[ -s "$tmp/declared" ] || fail "$1 declares nothing"
	same "$1" "$tmp/declared" "$map" "$tmp/map"
	[ -f "$so" ] || return
	exported ZCREQ_PRIVATE_ >"$tmp/exported"
	same "$map" "$tmp/map" "exported symbols" "$tmp/exported"
}

# A C++ program finds the symbols: each prototype is inside extern "C".
link_cxx() {
	[ "$CXX" = no ] && return
	[ -f "$so" ] || return
	{
		for name in $headers; do echo "#include <zcreq/$name>"; done
		echo 'int main() { const void *all[] = {'
		sed 's/.*/(const void *)\&&,/' "$tmp/prototypes"
		echo '}; return all[0] == 0; }'
	} >"$tmp/all.cc"
	$CXX -std=c++11 ${SANITIZE_CFLAGS:-} -I"$srcdir/include" -Iinclude -o "$tmp/all" \
		"$tmp/all.cc" "$so" .libs/libzcreq.so || fail "a C++ program does not link"
}

# Labels come once, in one order, and with an answer: prints those that do not.
malformed() {
	awk '
		BEGIN { n = split("Ownership Callback Thread Errors Source Since Return", names)
			for (i = 1; i <= n; i++) order[names[i]] = i }
		/^ \* [A-Z][a-z]+:/ {
			name = substr($2, 1, length($2) - 1)
			if (!(name in order)) next
			if (order[name] <= last) print name " is out of order"
			if (NF < 3) print name " has no answer"
			last = order[name]
		}' "$tmp/comment"
}

# For each function one comment "NAME() - ..." with the labels that have an answer; of
# one whose result is not to be ignored, with its errors.
documented() {
	for name in $(prototypes | sed 's/.* //'); do
		awk -v name="$name" '
			/^\/\*\*/ { text = ""; inside = 1 }
			inside { text = text $0 "\n" }
			/\*\// { inside = 0
				 if (index(text, "\n * " name "() - ")) { print text; exit } }
		' $files >"$tmp/comment"
		for label in "$name() - " Thread: Since:; do
			grep -qF "$label" "$tmp/comment" ||
				fail "the comment of $name has no \"$label\""
		done
		# shellcheck disable=SC2086  # a list of files
		if cat $files | grep -A1 '^ZCREQ_MUST_CHECK$' | grep -q "^int $name("; then
			grep -E '^ \* Errors: +[^ ]' "$tmp/comment" | grep -qv 'none\.$' ||
				fail "the comment of $name does not say how it fails"
		fi
		malformed >"$tmp/bad"
		[ -s "$tmp/bad" ] && fail "the comment of $name: $(cat "$tmp/bad")"
	done
}

# needs_only LIBRARY...: in the order of the alphabet. glibc before 2.34 has parts of itself in
# libraries of their own, and musl has another name.
needs_only() {
	[ -f "$so" ] || { echo "no $so here: symbols and needs not checked"; return; }
	[ -n "${SANITIZE_CFLAGS:-}" ] && return
	needed=$($OBJDUMP -p "$so" | awk '$1 == "NEEDED" {print $2}' |
		sed -e '/^lib\(dl\|pthread\)\.so\.[0-9]*$/d' -e 's/^libc\.so$/libc.so.6/' | sort | xargs)
	[ "$needed" = "$*" ] || fail "$so needs $needed, not just $*"
}

# The name of the mark is spelt apart, so that this file has none.
nothing_left_to_do() {
	grep -rnE --include='*.[ch]' 'TO''DO|FIX''ME|XX''X' "$srcdir/lib" "$srcdir/include" &&
		fail "something is left to do"
	# printed_*.c are made, and lie there after a build in the tree
	for file in $(cd "$srcdir" && find lib include tests nvmet tools contrib -name '*.[ch]' \
		! -path 'tests/loops/printed_*.c'); do
		file=$srcdir/$file
		[ "$(head -n 1 "$file")" = '/* SPDX-License-Identifier: BSD-2-Clause */' ] ||
			fail "$file does not begin with its licence"
	done
}

look() {
	compile_alone
	compare_symbols
	link_cxx
	documented
}

# The core's headers are those that the umbrella includes; adapters have their own.
# shellcheck disable=SC2046  # a list of names
library libzcreq lib/libzcreq.map $(sed -n 's/^#include <zcreq\/\(.*\)>$/\1/p' "$srcdir/include/zcreq/zcreq.h")
look
private core/guarded.h
needs_only libc.so.6
library libzcreq-guard lib/guard/libzcreq-guard.map guard.h
look
needs_only libc.so.6 libzcreq.so.0
library libzcreq-ev lib/ev/libzcreq-ev.map ev.h
look
needs_only libc.so.6 libev.so.4 libzcreq.so.0
if [ -f .libs/libzcreq-uring.so ]; then
	library libzcreq-uring lib/uring/libzcreq-uring.map uring.h
	look
	needs_only libc.so.6 liburing.so.2 libzcreq.so.0
fi
nothing_left_to_do
exit $failed
