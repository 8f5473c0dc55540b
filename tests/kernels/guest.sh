# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
#
# guest.sh - what the tests need besides a network: sourced by the guest's /init
for module in veth dummy sch_tbf sch_fq tcp_diag af_packet ipv6; do
	modprobe $module 2>/dev/null
done
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
