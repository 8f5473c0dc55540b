# SPDX-License-Identifier: BSD-2-Clause
#
# headers.awk - section 3 of the manual, made of the comments in the public headers
#
#   awk -v out=DIR -v date="Month D, YYYY" -f headers.awk HEADER...
#
# writes DIR/NAME.3, and DIR/links: each line a page, and another name that it has.
#
# One page for each function, because that is what `man zcreq_send` is asked for, and
# because each comment is a whole: what it does, who owns what, who is called, from which
# thread, what it returns. One page for each header as well, zcreq_stream.h(3), with what
# its functions share: the essay at its head, structs, enums, constants, and the list of
# the functions; types are links to it. Nothing is written by hand, so a new function has
# its page as soon as it has its comment, and tests/manual.sh refuses one that has none.
#
# What a comment may have: paragraphs, code (a line that begins with a tab), a picture
# (four blanks after the star), a list (a dash), @parameter, function(), page(2), *emphasis*, CONSTANT, -ERRNO, and
# the labels Ownership, Callback, Thread, Errors, Source, Since, Return. A label that says
# "none" is left out.

function fail(what)
{
	print FILENAME ":" FNR ": " what >"/dev/stderr"
	failed = 1
	exit 1
}

# ---- words ----

function put(line) { print line >page }

function flush_words()
{
	if (words == "")
		return
	if (words ~ /^[.']/)
		words = "\\&" words
	put(words)
	words = ""
}

# macro line: opening bracket, macro with its argument, and what follows without a blank
function put_macro(open, macro, after,    line, tail, i)
{
	flush_words()
	line = "." (open != "" ? "Pf " open " " : "") macro
	tail = ""
	while (after != "" && substr(after, length(after)) ~ /[.,:;)?!]/) {
		tail = " " substr(after, length(after)) tail
		after = substr(after, 1, length(after) - 1)
	}
	if (after != "")
		line = line " Ns " after
	put(line tail)
}

function put_word(w,    open, core, after)
{
	gsub(/\\/, "\\e", w)
	open = ""
	core = w
	while (core ~ /^\(/) {
		open = open "("
		core = substr(core, 2)
	}
	if (match(core, /^zcreq_[a-z0-9_]+\(\)/)) {
		after = substr(core, RLENGTH + 1)
		core = substr(core, 1, RLENGTH - 2)
		if (core != name)
			see[core] = 1
		put_macro(open, core == name ? "Fn " core : "Xr " core " 3", after)
	} else if (match(core, /^[a-z_][a-z0-9_.-]*\([1-9]\)/)) {
		after = substr(core, RLENGTH + 1)
		put_macro(open, "Xr " substr(core, 1, RLENGTH - 3) " " substr(core, RLENGTH - 1, 1), after)
	} else if (match(core, /^doc\/zcreq-lifecycle\.7/)) {
		put_macro(open, "Xr zcreq-lifecycle 7", substr(core, RLENGTH + 1))
	} else if (match(core, /^[a-z_][a-z0-9_]*\(\)/)) {
		put_macro(open, "Fn " substr(core, 1, RLENGTH - 2), substr(core, RLENGTH + 1))
	} else if (match(core, /^@[a-z_0-9]+(->[a-z_0-9]+)?/)) {
		put_macro(open, "Fa " substr(core, 2, RLENGTH - 1), substr(core, RLENGTH + 1))
	} else if (match(core, /^\*[a-z]+\*/)) {
		put_macro(open, "Em " substr(core, 2, RLENGTH - 2), substr(core, RLENGTH + 1))
	} else if (match(core, /^-?E[A-Z0-9][A-Z0-9]+/)) {
		put_macro(open, "Er " substr(core, 1, RLENGTH), substr(core, RLENGTH + 1))
	} else if (match(core, /^([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]|NULL|POLL[A-Z]+)/)) {
		put_macro(open, "Dv " substr(core, 1, RLENGTH), substr(core, RLENGTH + 1))
	} else {
		if (words != "" && length(words) + length(w) > 77)
			flush_words()
		words = words (words == "" ? "" : " ") w
		if (w ~ /[A-Za-z0-9)_][.?!][)"]*$/ && w !~ /^e\.g\.$/)
			flush_words()
	}
}

function put_words(text,    n, i, part)
{
	n = split(text, part, /[ \t]+/)
	for (i = 1; i <= n; i++)
		if (part[i] != "")
			put_word(part[i])
}

# ---- text: lines text[1..n], of which the blanks at their beginning tell what they are ----

function close_block()
{
	flush_words()
	if (block == "code")
		put(".Ed")
	else if (block == "list")
		put(".El")
	block = ""
}

function put_literal(line)
{
	gsub(/\\/, "\\e", line)
	if (line ~ /^[.']/)
		line = "\\&" line
	put(line)
}

# @started: something stands before, so that a paragraph needs a .Pp
function put_text(text, n, started,    i, line, gap)
{
	block = ""
	gap = started
	for (i = 1; i <= n; i++) {
		line = text[i]
		if (line ~ /^[ \t]*$/) {
			if (block == "code" && (i == n || text[i + 1] ~ /^(\t|   )/))
				put("")
			else {
				flush_words()
				gap = 1
			}
			continue
		}
		if (line ~ /^(\t|   )/ && block != "list") {
			if (block != "code") {
				close_block()
				put(".Bd -literal -offset indent")
				block = "code"
			}
			sub(/^\t/, "", line)
			put_literal(line)
			gap = 1
			continue
		}
		if (block == "code")
			close_block()
		if (line ~ /^ *- /) {
			if (block != "list") {
				flush_words()
				put(".Bl -bullet")
				block = "list"
			}
			flush_words()
			put(".It")
			sub(/^ *- /, "", line)
			gap = 0
		} else if (block == "list" && line !~ /^  /) {
			close_block()
			gap = 1
		}
		if (gap) {
			flush_words()
			if (started || i > 1)
				put(".Pp")
			gap = 0
		}
		put_words(line)
		started = 1
	}
	close_block()
}

# ---- a comment, taken apart ----

# into title, about, param[], param_text[], body[], label[]
function take_apart(    i, line, at, n)
{
	params = bodies = naming = 0
	split("", label)
	at = "params"
	for (i = 2; i <= lines; i++) {
		line = comment[i]
		if (match(line, /^(Ownership|Callback|Thread|Errors|Source|Since|Return):/)) {
			at = substr(line, 1, RLENGTH - 1)
			# several on one line
			while (match(substr(line, 2), /\. +(Callback|Thread):/)) {
				label[at] = first_words(substr(line, 1, RSTART + 1)) "\n"
				line = substr(line, RSTART + 3)
				sub(/^ +/, "", line)
				at = substr(line, 1, index(line, ":") - 1)
			}
			label[at] = first_words(line) "\n"
		} else if (at == "params" && line ~ /^@[a-z_, @]+:/) {
			n = index(line, ":")
			param[++params] = substr(line, 2, n - 2)
			gsub(/, @/, " , ", param[params])
			naming = 1
			param_text[params] = substr(line, n + 1)
			sub(/^ +/, "", param_text[params])
		} else if (at == "params" && naming && line ~ /^ /) {
			param_text[params] = param_text[params] " " line
		} else if (at == "params") {
			# a struct may name its members after a paragraph
			naming = 0
			if (line == "" && bodies == 0)
				continue
			body[++bodies] = line
		} else
			label[at] = label[at] line "\n"
	}
	while (bodies && body[bodies] == "")
		bodies--
	for (at in label)
		if (tolower(label[at]) ~ /^none\.?\n*$/)
			delete label[at]
}

# A sentence begins with a capital, unless its first word is somebody's name
function capital(line)
{
	if (line ~ /^[a-z]+[ ,.;:]/ && line !~ /^none[;,]/)
		line = toupper(substr(line, 1, 1)) substr(line, 2)
	return line
}

function first_words(line) { sub(/^[A-Z][a-z]+: */, "", line); return line }

function put_label(key, heading,    n, i, text)
{
	if (!(key in label))
		return
	put(".Sh " heading)
	n = split(label[key], text, "\n")
	for (i = 1; i <= n; i++)
		sub(/^ +/, "", text[i])
	while (n && text[n] == "")
		n--
	sub(/^none; /, "None; ", text[1])
	text[1] = capital(text[1])
	if (n == 1 && text[1] !~ /[.?!)]$/ && key != "Source")
		text[1] = text[1] "."
	put_text(text, n, 0)
}

# -EINVAL and what it means, each an item; what is no such item stands below them
function put_errors(    n, i, j, m, text, line, items, item, prose, prosing, part, first)
{
	if (!("Errors" in label))
		return
	put(".Sh ERRORS")
	n = split(label["Errors"], text, "\n")
	items = 0
	first = prose = ""
	prosing = 0
	for (i = 1; i <= n; i++) {
		line = text[i]
		if (line == "")
			continue
		sub(/^ +/, "", line)
		# "-ENOMEM; -ENOBUFS why" is two
		m = split(line, part, /; -E/)
		for (j = 1; j <= m; j++) {
			line = (j > 1 ? "-E" : "") part[j]
			if (match(line, /^-E[A-Z0-9]+/)) {
				if (!items && prose != "" && prose !~ /; and *$/) {
					first = prose
					prose = ""
				}
				item[++items] = line
				prosing = 0
			} else if (!items || prosing || (text[i] ~ /^ ? ? ?[^ ]/) || text[i] ~ /^           [^ ]/) {
				prose = prose " " line
				prosing = 1
			} else
				item[items] = item[items] " " line
		}
	}
	if (first != "") {
		sub(/^ +/, "", first)
		put_words(toupper(substr(first, 1, 1)) substr(first, 2))
		flush_words()
	}
	if (items) {
		put(".Bl -tag -width Er")
		for (i = 1; i <= items; i++) {
			match(item[i], /^-E[A-Z0-9]+/)
			put(".It Bq Er " substr(item[i], 1, RLENGTH))
			line = substr(item[i], RLENGTH + 1)
			sub(/^[ ;,.]+/, "", line)
			if (line ~ /^and what /) {
				prose = line (prose == "" ? "" : " ") prose
				line = ""
			} else if (match(line, /; and (what|why) /)) {
				prose = substr(line, RSTART + 2) " " prose
				line = substr(line, 1, RSTART)
			}
			sub(/; and *$/, ".", line)
			sub(/;$/, ".", line)
			if (line != "")
				put_words(line)
			else
				put("Not enough memory.")
			flush_words()
		}
		put(".El")
	}
	sub(/^ +/, "", prose)
	if (prose != "") {
		if (items)
			put(".Pp")
		sub(/; and *$/, ".", prose)
		prose = toupper(substr(prose, 1, 1)) substr(prose, 2)
		put_words(prose)
		flush_words()
	}
}

function put_params(    i, k)
{
	if (!params)
		return
	put(".Bl -tag -width Ds")
	for (i = 1; i <= params; i++) {
		put(".It Fa " param[i])
		put_words(param_text[i] == "\"" ? "as the one before" : param_text[i])
		flush_words()
	}
	put(".El")
}

# ---- pages ----

function begin_page(file, title)
{
	page = out "/" file ".3"
	name = title
	split("", see)
	print ".\\\" made by headers.awk from zcreq/" header >page
	put(".Dd " date)
	put(".Dt " toupper(file) " 3")
	put(".Os")
	put(".Sh NAME")
}

function library()
{
	if (header ~ /^(ev|guard|uring)\.h$/)
		return "zcreq-" substr(header, 1, length(header) - 2)
	return "zcreq"
}

function put_see_also(    n, i, j, all, one, swap)
{
	put(".Sh SEE ALSO")
	n = 0
	for (one in see)
		all[++n] = one
	if (name != "zcreq/" header)
		all[++n] = "zcreq_" header
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && all[j - 1] > all[j]; j--) {
			swap = all[j]
			all[j] = all[j - 1]
			all[j - 1] = swap
		}
	for (i = 1; i <= n; i++)
		put(".Xr " all[i] " 3 ,")
	put(".Xr zcreq 7 ,")
	put(".Xr zcreq-lifecycle 7")
}

# "int f(int a, void (*b)(int, int))" into type, its name, argument[1..arguments]
function take_prototype(text,    i, c, depth, start)
{
	sub(/^ZCREQ_MUST_CHECK */, "", text)
	sub(/^static inline */, "", text)
	i = match(text, /zcreq_[a-z0-9_]+\(/)
	if (!i)
		fail("no prototype in: " text)
	type = substr(text, 1, i - 1)
	sub(/ +$/, "", type)
	fname = substr(text, i, RLENGTH - 1)
	text = substr(text, i + RLENGTH)
	sub(/\) *$/, "", text)
	arguments = depth = 0
	start = 1
	for (i = 1; i <= length(text) + 1; i++) {
		c = substr(text, i, 1)
		depth += (c == "(") - (c == ")")
		if (i > length(text) || (c == "," && depth == 0)) {
			argument[++arguments] = substr(text, start, i - start)
			gsub(/^ +/, "", argument[arguments])
			start = i + 1
		}
	}
}

function about(line)
{
	sub(/^.* - /, "", line)
	sub(/\?$/, "", line)
	return line
}

function put_function(    i, dash)
{
	dash = index(comment[1], " - ")
	take_prototype(declaration)
	if (fname "() " != substr(comment[1], 1, dash - 1) " ")
		fail("the comment of " fname "() is about " comment[1])
	take_apart()
	one_liner[++functions] = substr(comment[1], dash + 3)
	function_name[functions] = fname
	is_function[fname] = 1
	begin_page(fname, fname)
	put(".Nm " fname)
	put(".Nd " about(comment[1]))
	put(".Sh LIBRARY")
	put("lib" library() " (pkg-config: " library() ")")
	put(".Sh SYNOPSIS")
	put(".In zcreq/" header)
	put(".Ft " type)
	put(".Fo " fname)
	for (i = 1; i <= arguments; i++)
		put(".Fa \"" argument[i] "\"")
	put(".Fc")
	put(".Sh DESCRIPTION")
	put_params()
	put_text(body, bodies, params > 0)
	put_label("Ownership", "OWNERSHIP")
	put_label("Callback", "CALLBACKS")
	put_label("Thread", "THREADS")
	if ("Return" in label)
		put_label("Return", "RETURN VALUES")
	else if (type == "int") {
		put(".Sh RETURN VALUES")
		put("0, or a negative errno.")
	}
	put_errors()
	put_label("Source", "SOURCES")
	put_see_also()
	if (!("Since" in label))
		fail(fname "() has no Since:")
	put(".Sh HISTORY")
	put("Since version " substr(label["Since"], 1, index(label["Since"], "\n") - 1) ".")
	close(page)
}

# A type or a constant: kept until the page of its header is written
function keep_other(    i, key)
{
	others++
	key = header SUBSEP others
	other_lines[key] = lines
	for (i = 1; i <= lines; i++)
		other_comment[key, i] = comment[i]
	other_declaration[key] = literal
	if (match(declaration, /^(struct|enum) zcreq_[a-z0-9_]+/)) {
		other_name[key] = substr(declaration, 1, RLENGTH)
		types[++type_count] = substr(declaration, RSTART, RLENGTH)
		sub(/^(struct|enum) /, "", types[type_count])
	} else if (declaration ~ /^typedef/) {
		other_name[key] = declaration
		sub(/^.*} */, "", other_name[key])
		types[++type_count] = other_name[key]
	} else {
		other_name[key] = declaration
		sub(/^#define /, "", other_name[key])
		sub(/[ (].*$/, "", other_name[key])
	}
}

function put_other(key,    i, n, text, line)
{
	put(".Ss " other_name[key])
	lines = other_lines[key]
	for (i = 1; i <= lines; i++)
		comment[i] = other_comment[key, i]
	if (comment[1] ~ /^struct zcreq_[a-z_]+ - /) {
		line = comment[1]
		sub(/^struct zcreq_[a-z_]+ - /, "", line)
		put_words(toupper(substr(line, 1, 1)) substr(line, 2) (line ~ /\.$/ ? "" : "."))
		flush_words()
		take_apart()
	} else {
		params = bodies = 0
		for (i = 1; i <= lines; i++)
			body[++bodies] = comment[i]
		put_text(body, bodies, 0)
		bodies = 0
	}
	put(".Bd -literal -offset indent")
	n = split(other_declaration[key], text, "\n")
	for (i = 1; i <= n; i++) {
		sub(/\/\*\*< ?/, "/* ", text[i])
		put_literal(text[i])
	}
	put(".Ed")
	put_params()
	if (params && bodies && body[1] != "")
		put(".Pp")
	put_text(body, bodies, 0)
}

function end_header(    i, n, text, constants)
{
	if (header == "")
		return
	begin_page("zcreq_" header, "zcreq/" header)
	# a name that a function has as well is the function's
	for (i = n = 0; i < type_count;)
		if (!(types[++i] in is_function))
			types[++n] = types[i]
	put(".Nm zcreq_" header (n ? " ," : ""))
	for (i = 1; i <= n; i++) {
		put(".Nm " types[i] (i < n ? " ," : ""))
		print "zcreq_" header ".3 " types[i] ".3" >(out "/links")
	}
	put(".Nd " about(" - " essay_about))
	put(".Sh LIBRARY")
	put("lib" library() " (pkg-config: " library() ")")
	put(".Sh SYNOPSIS")
	put(".In zcreq/" header)
	put(".Sh DESCRIPTION")
	put_text(essay, essays, 0)
	if (functions) {
		put(".Ss Functions")
		put(".Bl -tag -width Ds")
		for (i = 1; i <= functions; i++) {
			put(".It Xr " function_name[i] " 3")
			put_words(one_liner[i])
			flush_words()
			delete see[function_name[i]]
		}
		put(".El")
	}
	for (i = 1; i <= others; i++)
		if (other_name[header, i] ~ /^(struct|enum) |^zcreq/)
			put_other(header SUBSEP i)
	for (i = 1; i <= others; i++)
		if (other_name[header, i] !~ /^(struct|enum) |^zcreq/)
			put_other(header SUBSEP i)
	put_see_also()
	close(page)
}

# ---- reading ----

FNR == 1 {
	end_header()
	header = FILENAME
	sub(/^.*\//, "", header)
	sub(/\.in$/, "", header)
	state = "between"
	essays = functions = others = type_count = 0
}

state == "between" && /^\/\*\*/ {
	lines = 0
	state = "comment"
	line = $0
	sub(/^\/\*\* ?/, "", line)
	if (line ~ /\*\/$/) {
		sub(/ *\*\/$/, "", line)
		state = "after"
	}
	if (line != "")
		comment[++lines] = line
	next
}

state == "comment" {
	line = $0
	ended = line ~ /\*\/$/
	sub(/ *\*\/$/, "", line)
	sub(/^ \*/, "", line)
	sub(/^ /, "", line)
	if (!(ended && line == ""))
		comment[++lines] = line
	if (!ended)
		next
	state = "after"
	declaration = literal = ""
	# the head of the file
	if (comment[1] ~ /^[a-z]+\.h - /) {
		essay_about = comment[1]
		sub(/^[a-z]+\.h - /, "", essay_about)
		for (i = 3; i <= lines; i++)
			essay[++essays] = comment[i]
		state = "between"
	}
	next
}

state == "after" && declaration == "" { literal = "" }

state == "after" {
	if ($0 ~ /^ZCREQ_MUST_CHECK$/)
		next
	line = $0
	literal = literal (literal == "" ? "" : "\n") line
	if (declaration == "")
		depth = 0
	sub(/^[ \t]+/, "", line)
	declaration = declaration (declaration == "" || declaration ~ /\($/ ? "" : " ") line
	if (declaration ~ /^#define/) {
		# all of them, to the next empty line
		if (line != "")
			next
		sub(/\n$/, "", literal)
		keep_other()
		state = "between"
		declaration = ""
		next
	}
	n = gsub(/{/, "{", line)
	depth += n
	if (declaration ~ /^static inline/ && n) {
		sub(/ *{$/, "", declaration)
	} else {
		depth -= gsub(/}/, "}", line)
		if (depth > 0 || line !~ /;$/)
			next
		sub(/;$/, "", declaration)
	}
	if (comment[1] ~ /^zcreq_[a-z0-9_]+\(\) - /)
		put_function()
	else
		keep_other()
	state = "between"
	declaration = ""
	next
}

END {
	if (!failed)
		end_header()
	exit failed
}
