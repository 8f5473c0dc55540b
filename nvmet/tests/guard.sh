#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# guard.sh - zcreq-nvmet takes a guard when ZCREQ_GUARD asks for it, which finds nothing
#
# A finding would end the target, and with it the test.
#
# Run by make check from the build tree; ZCREQ_NVMET names the program.
set -u
failed=0
ZCREQ_GUARD=nonsense "$ZCREQ_NVMET" --listen 127.0.0.1:0 --namespace mem:1M >guard-probe.log 2>&1 &
probe=$!
for _ in $(seq 150); do
	grep -q '^ready' guard-probe.log && break
	kill -0 $probe 2>/dev/null || break
	sleep 0.2
done
kill $probe
wait $probe
grep -qF 'zcreq guard: ZCREQ_GUARD: what is "nonsense"?' guard-probe.log || {
	echo "FAIL: nobody reads ZCREQ_GUARD: $(cat guard-probe.log)"
	failed=1
}
rm -f guard-probe.log
export ZCREQ_GUARD=protect
nvmet/tests/check_commands
status=$?
[ $status = 0 ] || [ $status = 77 ] || failed=1
exit $failed
