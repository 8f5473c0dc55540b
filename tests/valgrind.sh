#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# valgrind.sh PROGRAM... - each under memcheck: no invalid access, no use of what was
# never written, no definite leak, also in the processes that tests fork
command -v valgrind >/dev/null || {
	echo "there is no valgrind"
	exit 77
}

# each test is a process, and starts slowly: fewer lives, and more time
ZCREQ_SIM_SEEDS=${ZCREQ_SIM_SEEDS-0:80}
CK_TIMEOUT_MULTIPLIER=50
export CK_TIMEOUT_MULTIPLIER ZCREQ_SIM_SEEDS
failed=0
for program; do
	begin=$(date +%s)
	log=$program.memcheck
	valgrind -q --vgdb=no --error-exitcode=99 --leak-check=full \
		--show-leak-kinds=definite --errors-for-leak-kinds=definite \
		"./$program" >"$log" 2>&1
	status=$?
	printf '%-28s status %-2s %4s s  %s\n' "$program" "$status" "$(($(date +%s) - begin))" \
		"$(grep -E '^[0-9]+%|^replayed' "$log")"
	[ $status = 0 ] && ! grep -q '^==' "$log" && continue
	cat "$log"
	failed=1
done
exit $failed
