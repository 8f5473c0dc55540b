#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# block.sh - the tests of what commands do, and of data that is compared, with a target whose
# logical blocks have 512 bytes
#
# Run by make check from the build tree; ZCREQ_NVMET names the program.
set -u
# shellcheck source=nvmet/tests/each.sh
. "${srcdir:-.}/nvmet/tests/each.sh"
export ZCREQ_TEST_BLOCK=512
each check_commands check_corruption
