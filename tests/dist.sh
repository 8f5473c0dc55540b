#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# dist.sh - what make dist packs does not depend on what its maker has installed
#
# Makefile.in is filled in twice, once as if configure had found everything and once as
# if it had found nothing, and make says what it would pack. Both have to be the same.
#
# Run by make check. Uses: srcdir
. "${srcdir:-.}/tests/verdict.sh"
[ -f "$srcdir/Makefile.in" ] || { echo "no Makefile.in here"; exit 77; }

# packed KEEP DROP: what is packed where each condition's side KEEP holds
packed() {
	# that a compiler has dependencies to write is not what this is about
	grep -v -e 'am--include-marker' "$srcdir/Makefile.in" |
		sed -e "s/@[A-Za-z_]*_$1@//g" -e "s/^.*@[A-Za-z_]*_$2@/#/" \
			-e "s|@srcdir@|$srcdir|g; s|@top_srcdir@|$srcdir|g; s|@SET_MAKE@||; s|@SHELL@|/bin/sh|" >"$tmp/Makefile"
	# shellcheck disable=SC2016  # make's variables
	printf '%s\n' 'packed: ; @printf "%s\n" $(sort $(DISTFILES) $(EXTRA_DIST))' >"$tmp/packed"
	MAKEFLAGS= make -s --no-print-directory -f "$tmp/Makefile" -f "$tmp/packed" packed
}

packed TRUE FALSE >"$tmp/all" || exit 99
packed FALSE TRUE >"$tmp/none" || exit 99
[ "$(wc -l <"$tmp/none")" -gt 100 ] || { echo "FAIL: make told of no files"; exit 1; }
if ! diff "$tmp/all" "$tmp/none"; then
	echo "FAIL: packed only where something is installed ('<') or only where it is not ('>')"
	exit 1
fi
# what is packed is there: make dist itself would find out only when somebody releases
while read -r file; do
	case $file in
	/*) ;;
	*) file=$srcdir/$file ;;
	esac
	[ -e "$file" ] || [ -e "${file#"$srcdir"/}" ] || { echo "FAIL: $file is packed, and is not there"; exit 1; }
done <"$tmp/all"
echo "$(wc -l <"$tmp/all") files are packed, whatever is installed"
