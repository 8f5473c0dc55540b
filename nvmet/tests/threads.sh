#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# threads.sh - the tests of zcreq-nvmet from the outside, with a target of two threads:
# each controller's queues are then on both
#
# Run by make check from the build tree; ZCREQ_NVMET names the program.
set -u
failed=0
export ZCREQ_TEST_THREADS="${ZCREQ_TEST_THREADS:-2}"
for name in ${ZCREQ_TESTS:-check_commands check_corruption check_end check_fatal check_fields check_frozen check_limits check_mandatory check_vanish}; do
	echo "== $name"
	"nvmet/tests/$name"
	status=$?
	[ $status = 0 ] || [ $status = 77 ] || failed=1
done
exit $failed
