# shellcheck shell=sh
# SPDX-License-Identifier: BSD-2-Clause
# root.sh - clean Debian roots: made, mounted, entered, removed
#
# Sourced by scripts that work in such roots, after common.sh. Sets root, the root in use, and:
#
#   roots_alone "$@"    the script goes on in namespaces of its own, with which its mounts and
#                       processes end, whatever becomes of it. Exits with 77 where that cannot be.
#   roots_in FOLDER     where the roots lie; FOLDER empty: a new one below TMPDIR (/var/tmp). When
#                       the script ends, roots_ended removes those that it has used, and nothing
#                       else that lies there, unless they are to be kept.
#   made NAME SUITE ARCHITECTURE
#                       the root NAME, with nothing in it but what Debian calls essential, and
#                       apt. One that is there already is taken.
#   copied NAME         instead, a copy of that root, for one purpose
#   mounted             what programs want to find there
#   entered [NAME=VALUE]... COMMAND...
#                       COMMAND, and its environment, in the root; with network=own, in a
#                       network of its own with nothing but loopback
#   unmounted, removed  the root in use has no mount any more, is not there any more
#
# Uses: packages, a folder in which downloaded packages stay; keep, yes or no.

root= network= used=

roots_alone() {
	[ "$(id -u)" = 0 ] || { say "needs root, for debootstrap, chroot and mounts"; exit 77; }
	command -v dpkg >/dev/null || { say "needs Debian"; exit 77; }
	[ -z "${roots_are_alone:-}" ] || return 0
	unshare --mount --pid --fork --kill-child --mount-proc true ||
		{ say "there may be no namespace for mounts here"; exit 77; }
	# shellcheck disable=SC2086  # a list of words
	need $packages_systems
	exec env roots_are_alone=yes unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
}

roots_in() {
	# shellcheck disable=SC2016  # apt's variable
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' |
		sort -u | head -n 1)
	[ -n "$mirror" ] || { say "apt knows no Debian mirror"; exit 77; }
	roots=$1
	[ -n "$roots" ] || roots=$(mktemp -d "${TMPDIR:-/var/tmp}/zcreq-roots.XXXXXX")
	mkdir -p "$roots"
	trap roots_ended EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# shellcheck disable=SC2317  # by the trap
roots_ended() {
	unmounted
	[ "$keep" != yes ] || return 0
	for name in $used; do removed_at "$roots/$name" || :; done
	rmdir "$roots" 2>/dev/null || :
}

made() {
	root=$roots/$1 used="$used $1"
	mkdir -p "$packages/$2/partial"
	[ ! -e "$root/made" ] || return 0
	rm -rf --one-file-system "$root"
	debootstrap --variant=minbase --cache-dir="$packages/$2" --arch="$3" "$2" "$root" "$mirror" || return 1
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	{
		apt-config dump | grep -E '^Acquire::[a-z]+::(Proxy|Pipeline-Depth) "..*"' || :
		echo 'APT::Install-Recommends "false"; APT::Keep-Downloaded-Packages "true";'
		echo 'APT::Sandbox::User "root"; Acquire::Languages "none";'
		# a mirror of sid may be older than the week for which its index is valid; the
		# signature is looked at all the same
		echo 'Acquire::Check-Valid-Until "false";'
		echo 'DPkg::Options:: "--force-unsafe-io";'
	} >"$root/etc/apt/apt.conf.d/90roots"
	# no service starts
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	echo "$2" >"$root/made"
}

copied() {
	unmounted
	root=$roots/$1-copy used="$used $1-copy"
	removed_at "$root"
	cp -a "$roots/$1" "$root"
}

mounted() {
	mkdir -p "$root/dev/pts" "$root/dev/shm"
	mountpoint -q "$root/var/cache/apt/archives" ||
		mount --bind "$packages/$(cat "$root/made")" "$root/var/cache/apt/archives"
	mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
	mountpoint -q "$root/sys" || mount -t sysfs -o ro sysfs "$root/sys"
	mountpoint -q "$root/dev/pts" || mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
	mountpoint -q "$root/dev/shm" || mount -t tmpfs tmpfs "$root/dev/shm"
}

# Not by chroot alone: the kernel gives no namespace to a program whose root is not that of its
# mounts.
entered() {
	export network
	# shellcheck disable=SC2016  # the inner shell's
	unshare --mount ${network:+--net} sh -c '[ -z "$network" ] || ip link set lo up
		mount --rbind "$0" "$0" && cd "$0" && mkdir -p was &&
		pivot_root . was && umount --lazy /was && exec env -i "$@"' "$root" \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C "$@" </dev/null
}

unmounted() {
	[ -n "$root" ] || return 0
	for at in ccache dev/shm dev/pts sys proc var/cache/apt/archives; do
		! mountpoint -q "$root/$at" || umount --recursive --lazy "$root/$at"
	done
}

# never through a mount
removed_at() {
	! grep -q " $1/" /proc/self/mounts || { say "still mounted: $1"; return 1; }
	rm -rf --one-file-system "$1"
}

removed() {
	[ -z "$root" ] || removed_at "$root"
	root=
}
