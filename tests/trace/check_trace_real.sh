#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The real kernel still gives what it gave.
exec "${srcdir:-.}"/tests/trace/check_trace.sh real
