#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The real kernel still gives what it gave.
exec "${srcdir:-.}"/tests/scenarios/check_scenarios.sh real
