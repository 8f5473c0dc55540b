#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The fake kernel gives what the real one gave.
exec "${srcdir:-.}"/tests/trace/check_trace.sh fake
