#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# small.sh - the smallest configuration of the model, for make check
exec "${srcdir:-.}/tests/model/run" --tables "$ZCREQ_TABLES" --fast
