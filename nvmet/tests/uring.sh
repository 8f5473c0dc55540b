#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# uring.sh - the tests of zcreq-nvmet from the outside, with a target that sends
# through an io_uring
#
# Run by make check from the build tree; ZCREQ_NVMET names the program.
set -u
# shellcheck source=nvmet/tests/each.sh
. "${srcdir:-.}/nvmet/tests/each.sh"
"$ZCREQ_NVMET" --sender uring --listen 127.0.0.1:0 --namespace mem:1M >uring-probe.log 2>&1 &
probe=$!
for _ in $(seq 150); do
	grep -q '^ready' uring-probe.log && break
	kill -0 $probe 2>/dev/null || break
	sleep 0.2
done
if ! grep -q '^ready.* sender=uring' uring-probe.log; then
	echo "skipped: $(cat uring-probe.log)"
	rm -f uring-probe.log
	exit 77
fi
kill $probe
wait $probe
rm -f uring-probe.log
export ZCREQ_TEST_SENDER=uring
each check_commands check_end check_fields check_frozen check_limits check_mandatory check_vanish
