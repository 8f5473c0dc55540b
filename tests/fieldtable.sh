#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# fieldtable.sh - doc/field-cases.md names tests that exist, and all that are field cases
#
# A test is named there as FILE.c:NAME below tests/, or as nvmet/tests/FILE.c:NAME, a recorded trace as NAME.trace. Each has to be
# defined and to be added to a suite; and each test whose name says that it holds off a
# published bug (field_) or is of the conformance list (conform_) has to be in the table.
. "${srcdir:-.}/tests/verdict.sh"
table=$srcdir/doc/field-cases.md

named=$(grep -oE '`[a-z_/]+\.c:[a-z0-9_]+`' "$table" | tr -d '`' | sort -u)
for test in $named; do
	case $test in
	nvmet/*) file=$srcdir/${test%%:*} ;;
	*) file=$srcdir/tests/${test%%:*} ;;
	esac
	name=${test#*:}
	[ -f "$file" ] || { fail "$test: no such file"; continue; }
	grep -q "START_TEST($name)" "$file" || fail "$test: no such test"
	tr '\n' ' ' <"$file" | grep -qE "tcase_add_(loop_)?test\([[:space:]]*[a-z_]+,[[:space:]]*$name[,)]" ||
		fail "$test: in no suite"
done
for trace in $(grep -oE '`[a-z0-9-]+\.trace`' "$table" | tr -d '`' | sort -u); do
	[ -f "$srcdir/tests/scenarios/kernel/$trace" ] || fail "$trace: no such trace"
done

defined=$(cd "$srcdir" && grep -rhoE --include='*.c' 'START_TEST\(((i[0-9]_)?field|conform)_[a-z0-9_]+\)' tests nvmet/tests |
	sed 's/START_TEST(//; s/)//' | sort -u)
for name in $defined; do
	echo "$named" | grep -qE ":$name\$" || fail "$name is not in the table"
done
[ -n "$named" ] && [ -n "$defined" ] || fail "nothing found to compare"
[ $failed = 0 ] && echo "$(echo "$named" | wc -l) tests named, $(echo "$defined" | wc -l) field and conformance tests"
exit $failed
