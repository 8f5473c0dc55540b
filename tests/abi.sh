#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# abi.sh [dump] - the binary interface is the one that is stored in abi/
#
# abidiff compares symbols, prototypes and the layout of all public types with what was
# stored: a change that nobody meant is found here. Who meant it runs make abi-dump, which
# stores what is built now, and reads the difference; HACKING.md says which ones are allowed.
# NEWS.md has the list of symbols, and make abi-dump writes it. At the end a struct, a member
# and a function are changed in what is stored, and have to be found.
#
# Run by make check from the build tree. Uses: srcdir OBJDUMP
. "${srcdir:-.}/tests/verdict.sh"
OBJDUMP=${OBJDUMP:-objdump}

# names MAP NODE: what a map exports, in alphabetical order
names() {
	awk -v node="^$2[0-9.]+ \\{" '$0 ~ node { inside = 1 } /^}/ { inside = 0 }
		inside && /^[[:space:]]*zcreq_[a-z0-9_]*;$/ { gsub(/[[:space:];]/, ""); print }' "$srcdir/$1" | sort
}

# symbols: of each library, as NEWS.md has them
# shellcheck disable=SC2016  # marks of a page
symbols() {
	while read -r library map node; do
		printf '\n%s:\n' "$library"
		names "$map" "$node" | sed 's/.*/`&`,/' | xargs -d '\n' | sed 's/,$/./' | fold -s -w 100 | sed 's/ $//'
	done <<-END
		libzcreq lib/libzcreq.map ZCREQ_
		libzcreq-ev lib/ev/libzcreq-ev.map ZCREQ_EV_
		libzcreq-guard lib/guard/libzcreq-guard.map ZCREQ_GUARD_
		libzcreq-uring lib/uring/libzcreq-uring.map ZCREQ_URING_
	END
	echo
}

# with_symbols: NEWS.md, with the list as it should be
with_symbols() {
	symbols >"$tmp/symbols"
	awk -v list="$tmp/symbols" '
		/^<!-- end of symbols -->$/ { inside = 0 }
		!inside { print }
		/^<!-- symbols -->$/ && !once { inside = once = 1; while ((getline line < list) > 0) print line }
	' "$srcdir/NEWS.md"
}

if [ "${1:-}" != dump ]; then
	with_symbols >"$tmp/news"
	grep -q zcreq_turn "$tmp/symbols" || fail "no symbols were found"
	diff "$srcdir/NEWS.md" "$tmp/news" || fail "NEWS.md has other symbols than the maps: make abi-dump"
fi

# debug information of this processor; another has other layouts
unable() {
	echo "$*"
	[ $failed = 0 ] && exit 77
	exit 1
}
command -v abidiff >/dev/null || unable "no abidiff here: abigail-tools"
[ -f .libs/libzcreq.so ] || unable "no shared library here"
$OBJDUMP -f .libs/libzcreq.so | grep -q 'file format elf64-x86-64' || unable "what is stored is of x86-64"
$OBJDUMP -h .libs/libzcreq.so | grep -q '\.debug_info' ||
	unable "the library has no debug information: CFLAGS without -g"

libraries() {
	for so in .libs/libzcreq.so .libs/libzcreq-ev.so .libs/libzcreq-guard.so .libs/libzcreq-uring.so; do
		[ ! -f "$so" ] || basename "$so" .so
	done
}

# dumped LIBRARY FILE: the public part of its interface, and nothing of where it was built
dumped() {
	abidw --headers-dir "$srcdir/include/zcreq" --drop-private-types --drop-undefined-syms \
		--suppressions "$srcdir/abi/others.ini" --no-corpus-path --no-comp-dir-path --no-show-locs \
		--no-architecture --no-elf-needed --type-id-style hash --out-file "$2" ".libs/$1.so"
}

if [ "${1:-}" = dump ]; then
	for name in $(libraries); do
		dumped "$name" "$tmp/$name.abi" && mv "$tmp/$name.abi" "$srcdir/abi/$name.abi" || exit 1
	done
	with_symbols >"$tmp/news" && cp "$tmp/news" "$srcdir/NEWS.md"
	wc -c "$srcdir"/abi/*.abi
	exit
fi

# same STORED: the library of that name, now dumped, is no other
same() {
	abidiff --no-architecture "$1" "$tmp/now" >"$tmp/said" 2>&1
}

# libzcreq is the last, for what is planted
for name in $(libraries | sort -r); do
	[ -f "$srcdir/abi/$name.abi" ] || { fail "there is no abi/$name.abi"; continue; }
	dumped "$name" "$tmp/now" || { fail "abidw cannot read $name"; continue; }
	same "$srcdir/abi/$name.abi" && continue
	fail "$name has another binary interface than abi/$name.abi; if that is meant, make abi-dump:"
	cat "$tmp/said"
done

# ---- planted ----
stored=$srcdir/abi/libzcreq.abi
[ $failed = 0 ] || exit $failed
sed "s/\(class-decl name='zcreq_context_options' size-in-bits='\)[0-9]*/\164/" "$stored" >"$tmp/smaller.abi"
grep -v "elf-symbol name='zcreq_room'" "$stored" >"$tmp/fewer.abi"
sed "s/layout-offset-in-bits='64'/layout-offset-in-bits='72'/" "$stored" >"$tmp/moved.abi"
for planted in smaller fewer moved; do
	cmp -s "$stored" "$tmp/$planted.abi" && fail "nothing was planted: $planted"
	same "$tmp/$planted.abi" && fail "what was planted is not found: $planted"
done
exit $failed
