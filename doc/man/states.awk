# SPDX-License-Identifier: BSD-2-Clause
#
# states.awk - draws the tables of states in a page, as the code has them
#
#   awk -f states.awk lib/core/transitions.h lib/core/conn.c PAGE
#
# writes PAGE to the standard output, with what stands between `.\" drawn from TABLE` and
# `.\" end of TABLE` made anew: a tree of the events that lead from one state to another,
# and for each state the events that leave it as it is or are refused. tests/manual.sh
# holds that the page is as this would make it.

function short(what) { sub(/^ZCREQ_(STATE|CONN_EVENT|CONN|EVENT)_/, "", what); return what }

function pad(text, width)
{
	while (length(text) < width)
		text = text " "
	return text
}

# Each state is opened where the way to it from the first one is shortest.
function find_ways(table,    queue, first, last, i, state, next_state)
{
	split("", way)
	queue[last = 1] = order[table, 1]
	way[order[table, 1]] = "none"
	for (first = 1; first <= last; first++) {
		state = queue[first]
		for (i = 1; i <= cells[table, state]; i++) {
			next_state = cell[table, state, i]
			if (leads(table, state, i) && !(next_state in way)) {
				way[next_state] = state SUBSEP i
				queue[++last] = next_state
			}
		}
	}
}

# The edges of @state that lead elsewhere.
function branch(table, state, indent,    i, n, next_state)
{
	n = 0
	for (i = 1; i <= cells[table, state]; i++)
		n += leads(table, state, i)
	for (i = 1; i <= cells[table, state]; i++) {
		if (!leads(table, state, i))
			continue
		n--
		next_state = cell[table, state, i]
		print indent (n ? "|" : "'") "-- " tolower(short(event[table, state, i])) " --> " short(next_state)
		if (way[next_state] == state SUBSEP i)
			branch(table, next_state, indent (n ? "|" : " ") "    ")
	}
}

function leads(table, state, i)
{
	return cell[table, state, i] ~ /^ZCREQ_/ && cell[table, state, i] != state &&
		cell[table, state, i] != "ZCREQ_IMPOSSIBLE"
}

# "a, b: EALREADY; c: stays"
function rest(table, state,    i, j, text, same, answer)
{
	text = ""
	split("", told)
	for (i = 1; i <= cells[table, state]; i++) {
		if (leads(table, state, i) || i in told)
			continue
		answer = cell[table, state, i]
		same = ""
		for (j = i; j <= cells[table, state]; j++)
			if (cell[table, state, j] == answer && !(j in told)) {
				told[j] = 1
				same = same (same == "" ? "" : ", ") tolower(short(event[table, state, j]))
			}
		if (answer == state)
			answer = "no change"
		else if (answer == "ZCREQ_IMPOSSIBLE")
			answer = "cannot come"
		sub(/^-/, "", answer)
		text = text (text == "" ? "" : "; ") same ": " answer
	}
	return text
}

function draw(table,    i, k, state, line, width, n, part)
{
	if (!(table in states)) {
		print "there is no table " table >"/dev/stderr"
		exit 1
	}
	find_ways(table)
	state = order[table, 1]
	width = 0
	for (i = 1; i <= states[table]; i++)
		if (length(short(order[table, i])) > width)
			width = length(short(order[table, i]))
	print ".Bd -literal -offset indent"
	print short(state)
	branch(table, state, " ")
	print ".Ed"
	print ".Pp"
	print "What else may be asked of it, and the answer:"
	print ".Bd -literal -offset indent"
	for (i = 1; i <= states[table]; i++) {
		line = pad(short(order[table, i]), width)
		n = split(rest(table, order[table, i]), part, "; ")
		if (!n)
			print line
		for (k = 1; k <= n; k++) {
			print line "  " part[k]
			line = pad("", width)
		}
	}
	print ".Ed"
}

# ---- the code ----

FILENAME ~ /\.[ch]$/ && /^(static )?const int(8|16)_t [a-z_]+\[/ {
	table = $0
	sub(/\[.*/, "", table)
	sub(/^.* /, "", table)
	next
}
FILENAME ~ /\.[ch]$/ && table != "" && /^\t\[[A-Z_]+\] = \{/ {
	state = $1
	gsub(/[][]/, "", state)
	order[table, ++states[table]] = state
	next
}
FILENAME ~ /\.[ch]$/ && table != "" && /^\t\t\[[A-Z_]+\] = / {
	i = ++cells[table, state]
	event[table, state, i] = $1
	gsub(/[][]/, "", event[table, state, i])
	cell[table, state, i] = $3
	sub(/,$/, "", cell[table, state, i])
	next
}
FILENAME ~ /\.[ch]$/ {
	if (/^};/)
		table = ""
	next
}

# ---- the page ----

/^\.\\" drawn from / { print; draw($4); drawing = 1; next }
/^\.\\" end of / { drawing = 0 }
!drawing { print }
