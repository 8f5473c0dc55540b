#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# block.sh - the tests of what commands do, and of data that is compared, with a target whose
# logical blocks have 512 bytes
#
# Run by make check from the build tree; ZCREQ_NVMET names the program.
set -u
failed=0
export ZCREQ_TEST_BLOCK=512
for name in check_commands check_corruption; do
	echo "== $name"
	"nvmet/tests/$name"
	status=$?
	[ $status = 0 ] || [ $status = 77 ] || failed=1
done
exit $failed
