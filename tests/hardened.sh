#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# hardened.sh - what configure's hardening flags promise is in what was linked
#
# All libraries and the target are bound at their start (BIND_NOW, RELRO); the target has
# a stack protector and fortified calls. Only the guard's library has static TLS: its
# handler of SIGSEGV may not allocate.
#
# Run by make check from the build tree. Uses: HARDEN_CFLAGS HARDEN_LDFLAGS
set -u
export LC_ALL=C
command -v readelf >/dev/null || { echo "no readelf here"; exit 77; }
failed=0
fail() {
	echo "FAIL: $*"
	failed=1
}

seen=0
for file in .libs/libzcreq*.so nvmet/.libs/zcreq-nvmet nvmet/zcreq-nvmet; do
	[ -f "$file" ] || continue
	readelf -h "$file" >/dev/null 2>&1 || continue # libtool's script
	dynamic=$(readelf -dW "$file" 2>/dev/null)
	[ -n "$dynamic" ] || continue
	seen=$((seen + 1))
	case $file in *libzcreq-guard*) ;; *)
		case $dynamic in *STATIC_TLS*) fail "$file has static TLS" ;; esac ;;
	esac
	[ -n "${HARDEN_LDFLAGS:-}" ] || continue
	case $dynamic in *BIND_NOW* | *"Flags: NOW"*) ;; *) fail "$file is not bound at its start" ;; esac
	case $(readelf -lW "$file") in *GNU_RELRO*) ;; *) fail "$file has no RELRO" ;; esac
	case $file in *zcreq-nvmet) ;; *) continue ;; esac
	names=$(readelf --dyn-syms -W "$file")
	case ${HARDEN_CFLAGS:-} in *stack-protector*)
		case $names in *__stack_chk_fail*) ;; *) fail "$file: no stack protector" ;; esac ;;
	esac
	case ${HARDEN_CFLAGS:-} in *FORTIFY*)
		case $names in *_chk@*) ;; *) fail "$file: no fortified call" ;; esac ;;
	esac
done
[ $seen -gt 0 ] || { echo "no shared library here"; exit 77; }
[ -n "${HARDEN_LDFLAGS:-}" ] || { echo "configured without hardening: static TLS only"; }
exit $failed
