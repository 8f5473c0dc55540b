#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# probes.sh - the library has a static probe for each event of zcreq/trace.h, and one
# semaphore for all
set -eu
src=${srcdir:-.}
lib=.libs/libzcreq.so
[ -f $lib ] || { echo "no shared library here"; exit 77; }
command -v readelf >/dev/null || { echo "no readelf here"; exit 77; }
wanted=$(sed -n '/^enum zcreq_trace_kind/,/^};/s/^\tZCREQ_TRACE_\([A-Z_]*\).*/\1/p' \
	"$src/include/zcreq/trace.h" | grep -v '^KINDS$' | tr A-Z a-z | sort)
notes=$(readelf -n $lib)
if ! grep -q '^USDT_CPPFLAGS = -D' Makefile; then
	echo "built without sys/sdt.h"
	exit 77
fi
found=$(printf '%s\n' "$notes" | awk '/Provider: zcreq/ { ours = 1 } /Name: / && ours { print $2; ours = 0 }' | sort -u)
[ "$found" = "$wanted" ] || { printf 'probes:\n%s\nevents:\n%s\n' "$found" "$wanted"; exit 1; }
semaphores=$(printf '%s\n' "$notes" | sed -n 's/.*Semaphore: //p' | sort -u)
[ "$(printf '%s\n' "$semaphores" | wc -l)" = 1 ] && [ "$semaphores" != 0x0000000000000000 ] || {
	printf 'semaphores:\n%s\n' "$semaphores"
	exit 1
}
