# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
#
# host.sh - what makes a guest an NVMe/TCP host: sourced by its /init
#
# The same name gives the same host identity at every boot.
id=$(hostname | tr -d '\n' | md5sum |
	sed 's/\(........\)\(....\)\(....\)\(....\)\(............\).*/\1-\2-\3-\4-\5/')
mkdir -p /etc/nvme
echo "$id" >/etc/nvme/hostid
echo "nqn.2014-08.org.nvmexpress:uuid:$id" >/etc/nvme/hostnqn
modprobe nvme_fabrics
modprobe nvme_tcp
