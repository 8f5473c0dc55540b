#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# manual.sh - the manual pages are well formed
set -u
src=${srcdir:-.}
command -v mandoc >/dev/null || { echo "mandoc is not installed"; exit 77; }
for page in "$src"/doc/*.[1-9] "$src"/tools/*/*.[1-9]; do
	mandoc -Tlint -W warning "$page" || exit 1
done
