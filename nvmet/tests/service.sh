#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# service.sh - the packaged configuration and unit serve, and an ordinary user is enough
#
# Every option in zcreq-nvmet.conf, those in comments too, is one of the program's. The unit
# is what systemd understands, and leaves little open. With the file as it is, but for the
# port, a user without privileges serves, and ends cleanly at SIGTERM.
#
# Run by make check from the build tree; ZCREQ_NVMET names the program. Uses: srcdir
set -u
export LC_ALL=C
service=${srcdir:-.}/nvmet/service
[ -x "${ZCREQ_NVMET:-}" ] || { echo "there is no zcreq-nvmet"; exit 77; }
program=$(realpath "$ZCREQ_NVMET")
tmp=$(mktemp -d) || exit 99
pid=
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
failed=0

fail() {
	echo "FAIL: $*"
	failed=1
}

# ---- every line with its comment taken off, one at a time
sed -n 's/^#\{0,1\}\([a-z0-9-]* = .*\)/\1/p' "$service/zcreq-nvmet.conf" >"$tmp/lines"
[ "$(wc -l <"$tmp/lines")" -ge 5 ] || fail "no options were found in the file"
"$program" --help | grep -oE '^  (--[a-z0-9-]+|--help, --version)' | tr -d ' ' >"$tmp/known"
while read -r name _; do
	grep -qx -e "--$name" "$tmp/known" || fail "zcreq-nvmet.conf has $name, which is no option"
done <"$tmp/lines"

# ---- the unit
exec_start=$(sed -n 's/^ExecStart=//p' "$service/zcreq-nvmet.service")
[ "$exec_start" = "/usr/sbin/zcreq-nvmet --config /etc/zcreq-nvmet.conf" ] || fail "ExecStart is $exec_start"
if command -v systemd-analyze >/dev/null; then
	sed "s|^ExecStart=/usr/sbin/zcreq-nvmet|ExecStart=$program|" "$service/zcreq-nvmet.service" >"$tmp/zcreq-nvmet.service"
	systemd-analyze verify --man=no "$tmp/zcreq-nvmet.service" >"$tmp/said" 2>&1 || fail "the unit is wrong"
	grep zcreq-nvmet "$tmp/said" && fail "the unit is wrong"
	if [ "$(systemd-analyze --version | awk 'NR == 1 { print int($2) }')" -ge 251 ]; then
		systemd-analyze security --offline=true --threshold=20 "$tmp/zcreq-nvmet.service" >"$tmp/said" 2>&1 ||
			fail "the unit leaves open: $(grep -v '✓' "$tmp/said")"
	fi
else
	echo "no systemd-analyze here: the unit is not verified"
fi

# ---- a run
sed 's/^listen = .*/listen = 127.0.0.1:0/' "$service/zcreq-nvmet.conf" >"$tmp/conf"
as=
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	as="setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
	$as "$program" --version >/dev/null 2>&1 ||
		{ echo "nobody else may enter $(pwd): run as root"; as=; }
fi
$as "$program" --config "$tmp/conf" >"$tmp/said" 2>&1 &
pid=$!
for _ in $(seq 300); do
	grep -q '^ready' "$tmp/said" && break
	kill -0 $pid 2>/dev/null || break
	sleep 0.2
done
grep -q '^ready' "$tmp/said" || fail "it does not serve: $(cat "$tmp/said")"
[ -z "$as" ] || ! grep -q '^CapEff:.*[1-9a-f]$' /proc/$pid/status || fail "it has capabilities"
kill $pid
wait $pid || fail "it ended with $?: $(cat "$tmp/said")"
pid=
exit $failed
