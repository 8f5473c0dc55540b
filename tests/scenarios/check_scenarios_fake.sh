#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The fake kernel gives what the real one gave.
exec "${srcdir:-.}"/tests/scenarios/check_scenarios.sh fake
