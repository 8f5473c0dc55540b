#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# html.sh - the manual as HTML: a page for each room, and an index
#
#   html.sh SRC MAN OUT      the pages of section 3 are in MAN (headers.awk)
#
# A room's page has the page of each of its headers, and below it those of its functions.
# What mandoc makes of a page has names of its own for its parts, NAME and ERRORS: each gets
# the name of the page in front. A link from page to page leads to the room that has it;
# what is nobody's here (sendmsg(2)) is a word.
set -eu
export LC_ALL=C
src=$1 man=$2 out=$3
command -v mandoc >/dev/null || { echo "html.sh: mandoc is not installed" >&2; exit 1; }
mkdir -p "$out"
rm -f "$out"/*.html
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# headers ROOM: those of its room.am, in the order in which zcreq(7) has them
headers()
{
	case $1 in
	base) echo zcreq.h version.h ;;
	*) sed -n 's/^\.It Xr zcreq_\([a-z]*\.h\) 3$/\1/p' "$src/doc/zcreq.7" | while read -r header; do
		grep -q "include/zcreq/$header" "$src/lib/$1/room.am" && echo "$header"
	done ;;
	esac || :
}

# functions HEADER: in the order in which it has them
functions()
{
	[ -f "$src/include/zcreq/$1" ] && file=$src/include/zcreq/$1 || file=$src/include/zcreq/$1.in
	sed -n 's/^ \* \(zcreq_[a-z0-9_]*\)() - .*/\1/p' "$file"
}

# rooms: "ROOM PAGE FILE" of all pages
rooms="base core stream explain ev guard uring"
for room in "$src"/lib/*/room.am; do
	grep -q zcreqinclude_HEADERS "$room" || continue
	room=${room%/room.am} room=${room##*/}
	case " $rooms " in *" $room "*) ;; *) rooms="$rooms $room" ;; esac
done
title()
{
	case $1 in
	overview) echo "Overview, and how things end" ;;
	base) echo "zcreq.h and version.h: the whole, and which one" ;;
	core) echo "Context, requests, connections, threads, trace" ;;
	stream) echo "TCP streams, and other ways to send" ;;
	explain) echo "Why is this not released yet?" ;;
	ev) echo "libzcreq-ev: in a libev loop" ;;
	guard) echo "libzcreq-guard: who writes to memory in flight" ;;
	uring) echo "libzcreq-uring: through an io_uring" ;;
	programs) echo "Programs" ;;
	*) echo "$1" ;;
	esac
}

{
	for page in zcreq zcreq-lifecycle; do
		echo "overview $page.7 $src/doc/$page.7"
	done
	for room in $rooms; do
		for header in $(headers "$room"); do
			echo "$room zcreq_$header.3 $man/zcreq_$header.3"
			for function in $(functions "$header"); do
				echo "$room $function.3 $man/$function.3"
			done
		done
	done
	for page in "$src"/tools/*/*.[18] "$src"/nvmet/doc/*.8; do
		[ -f "$page" ] && echo "programs ${page##*/} $page"
	done
} >"$tmp/pages"
# a type is where its header's page is
while read -r page link; do
	sed -n "s|^\([a-z]*\) $page .*|\1 $link $page|p" "$tmp/pages"
done <"$man/links" >"$tmp/links"

head()
{
	cat <<END
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$1</title>
<link rel="stylesheet" href="manual.css">
</head>
<body>
<nav>
END
	for to in overview $rooms programs; do
		echo "<a href=\"$to.html\">$to</a>"
	done
	echo '<a href="index.html">index</a></nav>'
	echo "<h1 class=\"page\">$1</h1>"
}

# Of one page as mandoc makes it: names get the page's in front, links their room's.
place()
{
	awk -v page="$1" 'FILENAME != "-" { room[$2] = $1; at[$2] = NF == 3 && FILENAME ~ /links$/ ? $3 : $2; next }
		{
			gsub(/ id="/, "&" page ".")
			gsub(/ href="#/, "&" page ".")
			line = ""
			while (match($0, /<a class="Xr" href="XREF\/[^"]*"[^>]*>/)) {
				target = substr($0, RSTART, RLENGTH)
				sub(/^.*XREF\//, "", target)
				sub(/".*$/, "", target)
				line = line substr($0, 1, RSTART - 1)
				rest = substr($0, RSTART + RLENGTH)
				if (target in room)
					line = line "<a class=\"Xr\" href=\"" room[target] ".html#" at[target] "\">"
				else {
					line = line "<span class=\"Xr\">"
					sub(/<\/a>/, "</span>", rest)
				}
				$0 = rest
			}
			print line $0
		}' "$tmp/pages" "$tmp/links" -
}

for room in overview $rooms programs; do
	{
		head "$(title "$room")"
		echo '<ul class="contents">'
		sed -n "s/^$room \([^ ]*\) .*/\1/p" "$tmp/pages" | while read -r page; do
			echo "<li><a href=\"#$page\">${page%.*}($(echo "$page" | sed 's/.*\.//'))</a></li>"
		done
		echo '</ul>'
		sed -n "s/^$room //p" "$tmp/pages" | while read -r page file; do
			echo "<section id=\"$page\">"
			mandoc -T html -O "fragment,man=XREF/%N.%S" "$file" | place "$page"
			echo '</section>'
		done
		echo '</body></html>'
	} >"$out/$room.html"
done

{
	head "The manual of zcreq"
	for room in overview $rooms programs; do
		echo "<h2><a href=\"$room.html\">$(title "$room")</a></h2><dl class=\"index\">"
		sed -n "s/^$room //p" "$tmp/pages" | while read -r page file; do
			about=$(sed -n 's/^\.Nd //p' "$file" | sed 's/&/\&amp;/g; s/</\&lt;/g')
			echo "<dt><a href=\"$room.html#$page\">${page%.*}</a></dt><dd>$about</dd>"
		done
		echo '</dl>'
	done
	echo '</body></html>'
} >"$out/index.html"
cp "$src/doc/man/manual.css" "$out/manual.css"
echo "$(wc -l <"$tmp/pages") pages in $(find "$out" -name '*.html' | wc -l) files in $out"
