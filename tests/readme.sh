#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# readme.sh - what README.md shows and names, and that README.zh-CN.md says the same
#
# README.md has the marked lines of examples/hello.c and no other C; what it names exists;
# each invariant stands there with a file of tests that doc/architecture.md has for it; and it is not
# longer than 150 lines. The Chinese page has the same headings in the same order, with the
# same anchors, and under each the same code, commands, links and numbers.
#
# At the end defects are planted. Uses: srcdir
. "${srcdir:-.}/tests/verdict.sh"

# code PAGE: its blocks of C
code() { awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$1"; }

# alone PAGE: what holds of one page
alone()
{
	sed -n '\|README.md shows what follows|,\|README.md shows what is above|p' "$srcdir/examples/hello.c" |
		sed '1d; $d' >"$tmp/region"
	code "$1" | diff -u "$tmp/region" - || fail "$1 does not show the marked lines of examples/hello.c"
	[ -s "$tmp/region" ] || fail "examples/hello.c has no marked lines"
	[ "$(wc -l <"$1")" -le 150 ] || fail "$1 has $(wc -l <"$1") lines"
	for named in $(grep -oE '(^|[^A-Za-z0-9_./-])(nvmet|doc|scripts|tests|bench|examples)/[a-z0-9._/-]+[a-z0-9]' "$1" |
		sed 's/^[^a-z]//' | sort -u); do
		[ -e "$srcdir/$named" ] || fail "$1 names $named, which is not there"
	done
	for header in "$srcdir"/include/zcreq/*.h "$srcdir"/include/zcreq/*.hpp; do
		header=${header##*/}
		case $header in zcreq.h | version.h) continue ;; esac
		grep -q "\`zcreq/$header\`" "$1" || fail "$1 has no word about zcreq/$header"
	done
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do
		test=$(sed -n "s/^| I$i | .*\`\\(tests[^\`]*\\)\` |\$/\\1/p" "$1")
		[ -n "$test" ] && grep "^| I$i |" "$srcdir/doc/architecture.md" | grep -qF "\`$test:" ||
			fail "$1, I$i: doc/architecture.md does not have '$test' for it"
	done
}

# facts PAGE: a line for each heading, and under it what both pages have to have. A heading's
# anchor is made as sites make it, or given (<a id="...">). The order of words differs.
facts()
{
	awk '
		function say(kind, what) { print n + 0 "\t" kind "\t" what }
		function numbers(text) {
			for (; match(text, /[0-9]+([.,][0-9]+)*/); text = substr(text, RSTART + RLENGTH))
				say("number", substr(text, RSTART, RLENGTH))
		}
		# what stands in backquotes is the same in every language
		function paragraph(  parts, count, i) {
			count = split(text, parts, "`")
			for (i = 1; i <= count; i++)
				if (i % 2) numbers(parts[i]); else say("word", parts[i])
			text = ""
		}
		/^```/ { on = !on; say("block", $0); next }
		on { # a comment is not, but for its numbers
			comment = match($0, /  # /) ? substr($0, RSTART) : ""
			numbers(comment)
			line = substr($0, 1, length($0) - length(comment))
			sub(/ +$/, "", line)
			say("code", line)
			next
		}
		/^#+ / {
			paragraph()
			n++
			anchor = tolower($0)
			if (match($0, /<a id="[a-z0-9-]+">/))
				anchor = substr($0, RSTART + 7, RLENGTH - 9)
			else {
				sub(/^#+ /, "", anchor)
				gsub(/[^a-z0-9 -]/, "", anchor)
				gsub(/ /, "-", anchor)
			}
			say("heading", $1 " " anchor)
			next
		}
		/^<!--/ { say("comment", $0); next }
		/^$/ { paragraph() }
		/^\|/ { line = $0; say("row", gsub(/\|/, "", line)) }
		/^- / { say("point", "") }
		{
			line = $0
			while (match(line, /\]\([^)]*\)/)) {
				say("link", substr(line, RSTART + 2, RLENGTH - 3))
				line = substr(line, 1, RSTART - 1) " " substr(line, RSTART + RLENGTH)
			}
			text = text " " line
		}
		END { paragraph() }' "$1" | sed '/\tlink\tREADME/s/\.zh-CN//' >"$tmp/facts"
	# a shell reads the lines of a block in their order
	grep -P '^\d+\t(heading|block|code)\t' "$tmp/facts"
	grep -vP '^\d+\t(heading|block|code)\t' "$tmp/facts" | sort
}

# same ENGLISH CHINESE
same()
{
	facts "$1" >"$tmp/english"
	facts "$2" >"$tmp/chinese"
	diff -U 0 "$tmp/english" "$tmp/chinese" || fail "$1 and $2 do not say the same"
}

alone "$srcdir/README.md"
alone "$srcdir/README.zh-CN.md"
same "$srcdir/README.md" "$srcdir/README.zh-CN.md"
for kind in heading block code number word link row; do
	cut -f 2 "$tmp/english" | grep -qx $kind || fail "no $kind was found"
done
grep -q '(README.zh-CN.md)' "$srcdir/README.md" || fail "README.md does not link to the Chinese page"
grep -q '(README.md)' "$srcdir/README.zh-CN.md" || fail "README.zh-CN.md does not link to the English page"
[ $failed = 0 ] || exit 1

# ---- planted ----

# planted WHAT PAGE SED
planted()
{
	sed "$3" "$srcdir/$2" >"$tmp/planted"
	! cmp -s "$srcdir/$2" "$tmp/planted" || { echo "FAIL: nothing was planted: $1"; exit 1; }
	case $2 in
	README.md) found=$(same "$tmp/planted" "$srcdir/README.zh-CN.md") ;;
	*) found=$(same "$srcdir/README.md" "$tmp/planted") ;;
	esac
	case $found in *FAIL:*) return ;; esac
	# what both pages could have wrong alike
	found=$(alone "$tmp/planted")
	case $found in *FAIL:*) ;; *) echo "FAIL: nobody noticed $1"; exit 1 ;; esac
}
for page in README.md README.zh-CN.md; do
	planted "another figure in $page" $page '/^- .*244/s/244/245/'
	planted "another size in $page" $page 's/36 KiB/64 KiB/'
	planted "another command in $page" $page 's|^scripts/check |scripts/checks |'
	planted "a heading that has gone from $page" $page '0,/^## /{/^## /d}'
	planted "a heading of another level in $page" $page '0,/^## /s/^## /### /'
	planted "an invariant without its test in $page" $page '/^| I7 /s|real/check_stream|real/check_linger|'
	planted "another line of the program in $page" $page 's/free(buffer)/abort()/'
	planted "a link elsewhere in $page" $page 's|(doc/by-hand.md)|(doc/trace.md)|'
	planted "a number in a table in $page" $page 's/256 of 256         1/256 of 256         2/'
done
planted "another anchor" README.zh-CN.md 's/<a id="two-commands">/<a id="commands">/'
planted "two sections in another order" README.zh-CN.md \
	's/id="two-commands"/id="x"/; s/id="when-not-to-use-it"/id="two-commands"/; s/id="x"/id="when-not-to-use-it"/'
echo "$(grep -c heading "$tmp/english") headings, $(wc -l <"$tmp/english") facts"
