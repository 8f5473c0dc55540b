#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh - makes the guest of the interop test: a Linux NVMe/TCP host in 120 MB
#
#   build.sh OUTDIR     writes OUTDIR/{vmlinuz,initrd.cpio,version}
#
# Everything that runs in the guest is Debian's own: the cloud kernel with its
# modules, nvme-cli, e2fsprogs and busybox, taken from packages that `apt-get
# download` fetches (no root needed) and OUTDIR/debs keeps, and fio, which is this
# machine's. Only /init and the agent (tests/vm/), and what is in src/, are ours.
#
# KERNEL_PACKAGE names another kernel: a meta package or an image.
# Exit 77: this machine lacks something; the last line says what.
set -eu

if [ $# -ne 1 ]; then
	echo "usage: build.sh OUTDIR" >&2
	exit 2
fi
sources=$(cd "$(dirname "$0")" && pwd)/src
# shellcheck source=tests/vm/kernel.sh
. "$(dirname "$0")/../../tests/vm/kernel.sh"
mkdir -p "$1"
out=$(cd "$1" && pwd)
debs=$out/debs
work=$out/work
root=$work/root
kernel_package=${KERNEL_PACKAGE:-linux-image-cloud-amd64}
user_packages="nvme-cli libnvme1 e2fsprogs libext2fs2 libcom-err2"
modules="nvme-tcp nvme-fabrics nvme nvmet nvmet-tcp brd loop configfs ext4
	virtio_pci virtio_net virtio_console crc32c-intel crc32c_generic"

# Debian's programs with the shared libraries that they name.
install_programs() {
	local programs=("$root/usr/sbin/nvme" "$root/sbin/mke2fs" "$root/sbin/e2fsck")
	local library=$work/user/usr/lib/x86_64-linux-gnu:$work/user/lib/x86_64-linux-gnu
	cp "$work/user/usr/sbin/nvme" "$root/usr/sbin/"
	rm -f "$root/sbin/mke2fs" "$root/bin/mke2fs" "$root/bin/mkfs.ext2"
	cp "$work/user/sbin/mke2fs" "$work/user/sbin/e2fsck" "$root/sbin/"
	LD_LIBRARY_PATH=$library vm_libraries "$root" lib/x86_64-linux-gnu "${programs[@]}"
}

# fio is linked with all that it can speak to, Ceph and Gluster too: 60 libraries,
# which it does not start without. They are most of the image, and in a folder of
# their own because the file system check copies /lib.
install_fio() {
	cp "$(command -v fio)" "$root/usr/bin/"
	vm_libraries "$root" usr/lib/x86_64-linux-gnu "$root/usr/bin/fio"
}

CC=${CC:-gcc} # may be two words
vm_tools fio "${CC%% *}"
rm -rf "$work"
mkdir -p "$debs" "$work/user" "$root"

version=$(vm_kernel "$work/kernel" "$debs" "$kernel_package")
# shellcheck disable=SC2086 # a list of names
vm_unpack "$work/user" "$debs" $user_packages
cp "$work/kernel/vmlinuz" "$out/vmlinuz"

vm_busybox "$root"
# shellcheck disable=SC2086 # a list of names
vm_modules "$work/kernel" "$version" "$root" $modules
install_programs
install_fio
# shellcheck disable=SC2086  # words
$CC -std=gnu11 -O2 -Wall -Wextra -static -pthread -o "$root/bin/nvio" "$sources/nvio.c" ||
	lacking "cannot build a static program (package libc6-dev)"
install -m 755 "$sources/nvmet" "$root/bin/nvmet"
install -m 644 "$sources/host.sh" "$root/etc/guest.sh"

# Named last, because its presence says that the image is whole.
echo "$version" >"$out/version"
vm_pack "$root" "$out/initrd.cpio"
rm -rf "$work"
