#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# ignored.sh - a build in the tree itself leaves nothing that git takes for news
#
# What make knows that it makes has to be covered by .gitignore, and nothing that git has may
# be.
#
# Run by make check. Uses: srcdir
. "${srcdir:-.}/tests/verdict.sh"
command -v git >/dev/null && [ -e "$srcdir/.git" ] || { echo "not a git tree"; exit 77; }

# shellcheck disable=SC2016  # make's variables
printf '%s\n' 'made: ; @printf "%s\n" $(sort $(PROGRAMS) $(EXTRA_PROGRAMS) $(check_PROGRAMS) \
	$(SCRIPTS) $(LTLIBRARIES) $(check_LTLIBRARIES) $(TEST_LOGS) $(TEST_LOGS:.log=.trs) $(CLEANFILES) \
	$(CONFIG_CLEAN_FILES) $(am__depfiles_remade) $(OBJECTS) Makefile libtool config.status config.log \
	configure.lineno $(addsuffix /page,doc/man/man3 doc/man/all html))' >"$tmp/made.mk"
MAKEFLAGS='' make -s --no-print-directory -f Makefile -f "$tmp/made.mk" made | sort -u >"$tmp/made"
[ "$(wc -l <"$tmp/made")" -gt 50 ] || { echo "FAIL: make told of no files"; exit 1; }

# git's answer is what is ignored; everything else is left
git -C "$srcdir" check-ignore --no-index --stdin <"$tmp/made" | sort -u >"$tmp/ignored"
if grep -v -x -F -f "$tmp/ignored" "$tmp/made"; then
	fail "these would be untracked after a build in the tree"
fi
git -C "$srcdir" ls-files --cached --ignored --exclude-standard >"$tmp/both" || exit 99
if [ -s "$tmp/both" ]; then
	cat "$tmp/both"
	fail "git has these, and ignores them"
fi
[ "$failed" != 0 ] || echo "$(wc -l <"$tmp/made") files that make makes, all ignored"
exit $failed
