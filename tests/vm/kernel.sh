# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# kernel.sh - Debian's kernels and what a guest is made of. Sourced, not run.
#
# A guest boots one Debian kernel with an initrd that holds busybox, the modules that
# are wanted, and the programs that are put in with the libraries that they name. All
# of it comes from packages, none of it needs root, and nothing of this machine's apt
# is changed.
#
# Exit 77: this machine lacks something; the last line says what.

lacking() {
	echo "${0##*/}: $*" >&2
	exit 77
}

# vm_tools TOOL...: what every guest takes, and TOOLs
vm_tools() {
	local tool
	[ "$(uname -m)" = x86_64 ] || lacking "the guest is x86-64, this machine is $(uname -m)"
	for tool in apt-get apt-cache dpkg busybox cpio depmod xz ldd "$@"; do
		command -v "$tool" >/dev/null || lacking "needs $tool"
	done
	if ldd "$(command -v busybox)" >/dev/null 2>&1; then
		lacking "needs a static busybox (package busybox-static)"
	fi
}

# Options of apt: none for this machine's own suite.
apt_options=()

# vm_mirror: where this machine's apt takes Debian from. MIRROR says otherwise.
vm_mirror() {
	[ -z "${MIRROR:-}" ] || { echo "${MIRROR%/}" && return; }
	apt-get indextargets --format "\$(ORIGIN)|\$(RELEASE)|\$(REPO_URI)" 2>/dev/null |
		awk -F'|' '$1 == "Debian" && $2 !~ /-/ { sub("/$", "", $3); print $3; exit }'
}

# vm_suite STATE SUITE: apt is asked about SUITE from now on, in a state of its own
# below STATE. The suite's security updates are at the mirror's sister.
vm_suite() {
	local state=$1 suite=$2 mirror
	mirror=$(vm_mirror)
	[ "$mirror" ] || lacking "apt of this machine knows no Debian mirror: say MIRROR=ADDRESS"
	mkdir -p "$state"/{lists/partial,cache/archives/partial,parts}
	{
		echo "deb $mirror $suite main"
		[ "$suite" = sid ] || echo "deb $mirror-security $suite-security main"
	} >"$state/sources.list"
	: >>"$state/status"
	apt_options=(-o "Dir::Etc::sourcelist=$state/sources.list" -o "Dir::Etc::sourceparts=$state/parts"
		-o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
		-o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none)
	# A suite without security updates is no error: its own list is enough.
	apt-get "${apt_options[@]}" -qq update >"$state/log" 2>&1 ||
		apt-cache "${apt_options[@]}" show linux-image-amd64 >/dev/null 2>&1 ||
		lacking "no list of $suite: $(tail -n 1 "$state/log")"
}

# vm_fetch PACKAGE DEBS: its .deb is in DEBS afterwards, and only that version of it
vm_fetch() {
	local name
	name=$(cd "$2" && apt-get "${apt_options[@]}" download --print-uris "$1" 2>apt.log | awk '{ print $2; exit }')
	[ "$name" ] || lacking "cannot find the package $1: $(tail -n 1 "$2/apt.log")"
	[ -f "$2/$name" ] && return
	rm -f "$2/$1"_*.deb
	(cd "$2" && apt-get "${apt_options[@]}" download -q "$1" >/dev/null 2>apt.log) ||
		lacking "cannot download the package $1: $(tail -n 1 "$2/apt.log")"
}

# vm_unpack INTO DEBS PACKAGE...
vm_unpack() {
	local package into=$1 debs=$2
	shift 2
	for package; do
		vm_fetch "$package" "$debs"
		dpkg -x "$debs/$package"_*.deb "$into"
	done
}

# vm_depends PACKAGE PATTERN: the packages that it depends on, as far as they match
vm_depends() {
	apt-cache "${apt_options[@]}" depends "$1" 2>/dev/null | awk -v p="$2" '/ Depends: / && $2 ~ p { print $2 }'
}

# vm_kernel INTO DEBS PACKAGE: the kernel of a meta package, or of an image, is in
# INTO/vmlinuz and INTO/lib/modules; its version is printed. Since 7.x Debian has the
# parts of a kernel in packages of their own.
vm_kernel() {
	local into=$1 debs=$2 image version part
	image=$(vm_depends "$3" '^linux-image-[0-9]' | head -n 1)
	image=${image:-$3}
	mkdir -p "$into" "$debs"
	# shellcheck disable=SC2046 # a list of names
	vm_unpack "$into" "$debs" "$image" $(vm_depends "$image" '^linux-(modules|binary)-')
	if [ -d "$into/usr/lib/modules" ]; then
		mkdir -p "$into/lib"
		mv "$into/usr/lib/modules" "$into/lib/"
	fi
	version=$(ls "$into/lib/modules")
	for part in "$into/boot/vmlinuz-$version" "$into/lib/modules/$version/vmlinuz"; do
		[ ! -f "$part" ] || mv "$part" "$into/vmlinuz"
	done
	[ -f "$into/vmlinuz" ] || lacking "no kernel in $image"
	echo "$version"
}

# vm_modules KERNEL VERSION ROOT NAME...: the modules with all that they depend on. One
# that is built into this kernel, or that it does not have, has no line in modules.dep
# and is skipped.
vm_modules() {
	local from=$1/lib/modules/$2 to=$3/lib/modules/$2 kernel=$1 version=$2 root=$3 name file
	shift 3
	touch "$from"/modules.{builtin,builtin.modinfo,order}
	depmod -b "$kernel" "$version"
	mkdir -p "$to"
	for name; do
		grep -E "/${name//[-_]/[-_]}\.ko(\.xz|\.zst)?:" "$from/modules.dep" | tr -d : | tr ' ' '\n' || true
	done | grep . | sort -u | while read -r file; do
		mkdir -p "$to/$(dirname "$file")"
		case $file in
		*.xz) xz -dc "$from/$file" >"$to/${file%.xz}" ;;
		*.zst) zstd -dcq "$from/$file" >"$to/${file%.zst}" ;;
		*) cp "$from/$file" "$to/$file" ;;
		esac
	done
	cp "$from"/modules.{builtin,builtin.modinfo,order} "$to"
	depmod -b "$root" "$version"
}

# vm_busybox ROOT [APPLET...]: the folders of a root, busybox under all its names but
# APPLETs, which the guest has as programs of their own, and the agent
vm_busybox() {
	local root=$1 applet
	shift
	mkdir -p "$root"/{bin,sbin,usr/sbin,usr/bin,etc,lib64,dev,proc,sys,tmp,job,run,mnt} \
		"$root"/{lib,usr/lib}/x86_64-linux-gnu
	cp "$(command -v busybox)" "$root/bin/busybox"
	# Not for "busybox" itself: the link would point at itself.
	for applet in $("$root/bin/busybox" --list | grep -vxF "$(printf '%s\n' busybox "$@")"); do
		ln -sf busybox "$root/bin/$applet"
	done
	install -m 755 "$(dirname "${BASH_SOURCE[0]}")/agent" "$root/agent"
	install -m 755 "$(dirname "${BASH_SOURCE[0]}")/init" "$root/init"
}

# vm_libraries ROOT FOLDER PROGRAM...: the shared libraries that PROGRAMs name are in
# ROOT/FOLDER
vm_libraries() {
	local root=$1 folder=$2 list
	shift 2
	list=$(ldd "$@" 2>/dev/null)
	if grep 'not found' <<<"$list" >&2; then
		lacking "a library of the guest's programs is missing"
	fi
	awk '$3 ~ /^\// { print $3 }' <<<"$list" | sort -u | xargs -r cp -L -t "$root/$folder/"
	cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
}

# vm_pack ROOT FILE: an initrd, uncompressed: an emulated processor unpacks slowly. The
# kernel takes several of them, one after the other in one file.
vm_pack() {
	(cd "$1" && find . | cpio -o -H newc --quiet -R 0:0) >"$2.new"
	mv "$2.new" "$2"
}
