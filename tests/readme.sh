#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# readme.sh - the README shows examples/hello.c word for word, and what it names exists
set -eu
src=${srcdir:-.}
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$src/README.md" >"$shown"
diff -u "$src/examples/hello.c" "$shown"
for named in $(grep -oE '((nvmet/)?doc|nvmet|scripts|tests|bench)/[a-z0-9._/-]+[a-z0-9]' "$src/README.md" | sort -u); do
	[ -e "$src/$named" ] || { echo "README.md names $named, which is not there"; exit 1; }
done
