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
# machine's. Only /init, the agent and the block tester are ours (src/).
#
# KERNEL_PACKAGE names another kernel: a meta package or an image.
# Exit 77: this machine lacks something; the last line says what.
set -eu

if [ $# -ne 1 ]; then
	echo "usage: build.sh OUTDIR" >&2
	exit 2
fi
sources=$(cd "$(dirname "$0")" && pwd)/src
mkdir -p "$1"
out=$(cd "$1" && pwd)
debs=$out/debs
work=$out/work
root=$work/root
kernel_package=${KERNEL_PACKAGE:-linux-image-cloud-amd64}
user_packages="nvme-cli libnvme1 e2fsprogs libext2fs2 libcom-err2"
modules="nvme-tcp nvme-fabrics nvme nvmet nvmet-tcp brd loop configfs ext4
	virtio_pci virtio_net virtio_console crc32c-intel crc32c_generic"

lacking() {
	echo "build.sh: $*" >&2
	exit 77
}

check_tools() {
	local tool
	[ "$(uname -m)" = x86_64 ] || lacking "the guest is x86-64, this machine is $(uname -m)"
	for tool in apt-get apt-cache dpkg busybox cpio depmod xz ldd fio "${CC:-gcc}"; do
		command -v "$tool" >/dev/null || lacking "needs $tool"
	done
	if ldd "$(command -v busybox)" >/dev/null 2>&1; then
		lacking "needs a static busybox (package busybox-static)"
	fi
}

# fetch PACKAGE: its .deb is in $debs afterwards
fetch() {
	compgen -G "$debs/$1_*.deb" >/dev/null && return
	(cd "$debs" && apt-get download -q "$1" >/dev/null 2>"$work/apt.log") ||
		lacking "cannot download the package $1: $(tail -n 1 "$work/apt.log")"
}

unpack() {
	local package into=$1
	shift
	for package; do
		fetch "$package"
		dpkg -x "$debs/$package"_*.deb "$into"
	done
}

# The meta package depends on the image of the day; an image is taken as it is.
kernel_image() {
	local image
	image=$(apt-cache depends "$kernel_package" 2>/dev/null |
		awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
	echo "${image:-$kernel_package}"
}

# The wanted modules with all that they depend on. One that is built into this
# kernel has no line in modules.dep and is skipped.
install_modules() {
	local from=$work/kernel/lib/modules/$version to=$root/lib/modules/$version name file
	depmod -b "$work/kernel" "$version"
	for name in $modules; do
		grep -E "/${name//[-_]/[-_]}\.ko(\.xz)?:" "$from/modules.dep" | tr -d : | tr ' ' '\n' || true
	done | grep . | sort -u | while read -r file; do
		mkdir -p "$to/$(dirname "$file")"
		case $file in
		*.xz) xz -dc "$from/$file" >"$to/${file%.xz}" ;;
		*) cp "$from/$file" "$to/$file" ;;
		esac
	done
	cp "$from/modules.builtin" "$from/modules.builtin.modinfo" "$from/modules.order" "$to"
	depmod -b "$root" "$version"
}

install_busybox() {
	local applet
	cp "$(command -v busybox)" "$root/bin/busybox"
	# Not for "busybox" itself: the link would point at itself.
	for applet in $("$root/bin/busybox" --list | grep -vx busybox); do
		ln -sf busybox "$root/bin/$applet"
	done
}

# Debian's programs with the shared libraries that they name.
install_programs() {
	local programs=("$root/usr/sbin/nvme" "$root/sbin/mke2fs" "$root/sbin/e2fsck") library
	cp "$work/user/usr/sbin/nvme" "$root/usr/sbin/"
	rm -f "$root/sbin/mke2fs" "$root/bin/mke2fs" "$root/bin/mkfs.ext2"
	cp "$work/user/sbin/mke2fs" "$work/user/sbin/e2fsck" "$root/sbin/"
	library=$work/user/usr/lib/x86_64-linux-gnu:$work/user/lib/x86_64-linux-gnu
	LD_LIBRARY_PATH=$library ldd "${programs[@]}" >"$work/libraries"
	if grep 'not found' "$work/libraries" >"$work/missing"; then
		lacking "a library of the guest's programs is missing: $(head -n 1 "$work/missing")"
	fi
	awk '$3 ~ /^\// { print $3 }' "$work/libraries" | sort -u |
		xargs -I{} cp -L {} "$root/lib/x86_64-linux-gnu/"
	cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
}

# fio is linked with all that it can speak to, Ceph and Gluster too: 60 libraries,
# which it does not start without. They are most of the image, and in a folder of
# their own because the file system check copies /lib.
install_fio() {
	cp "$(command -v fio)" "$root/usr/bin/"
	ldd "$root/usr/bin/fio" | awk '$3 ~ /^\// { print $3 }' |
		xargs cp -L -t "$root/usr/lib/x86_64-linux-gnu/"
}

check_tools
rm -rf "$work"
mkdir -p "$debs" "$work/kernel" "$work/user" "$root"/{bin,sbin,usr/sbin,usr/bin,etc/nvme,lib64} \
	"$root"/{lib/x86_64-linux-gnu,usr/lib/x86_64-linux-gnu,dev,proc,sys,tmp,job,run,mnt}

kernel=$(kernel_image)
unpack "$work/kernel" "$kernel"
# shellcheck disable=SC2086 # a list of names
unpack "$work/user" $user_packages
version=$(ls "$work/kernel/lib/modules")
cp "$work/kernel/boot/vmlinuz-$version" "$out/vmlinuz"

install_busybox
install_modules
install_programs
install_fio
"${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -static -pthread -o "$root/bin/nvio" "$sources/nvio.c" ||
	lacking "cannot build a static program (package libc6-dev)"
install -m 755 "$sources/nvmet" "$root/bin/nvmet"
install -m 755 "$sources/agent" "$root/agent"
install -m 755 "$sources/init" "$root/init"

# Left uncompressed: an emulated processor unpacks slowly. Named last, because its
# presence says that the image is whole.
(cd "$root" && find . | cpio -o -H newc --quiet -R 0:0) >"$work/initrd.cpio"
echo "$version" >"$out/version"
mv "$work/initrd.cpio" "$out/initrd.cpio"
rm -rf "$work"
