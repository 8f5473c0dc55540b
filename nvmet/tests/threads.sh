#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# threads.sh - the tests of zcreq-nvmet from the outside, with a target of two threads:
# each controller's queues are then on both
#
# Run by make check from the build tree; ZCREQ_NVMET names the program.
set -u
# shellcheck source=nvmet/tests/each.sh
. "${srcdir:-.}/nvmet/tests/each.sh"
export ZCREQ_TEST_THREADS="${ZCREQ_TEST_THREADS:-2}"
# shellcheck disable=SC2086  # a list of names
each ${ZCREQ_TESTS:-check_commands check_corruption check_end check_fatal check_fields check_frozen check_limits check_mandatory check_vanish check_writes}
