/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/wellformed.h"

#include <ctype.h>
#include <string.h>

#define DEPTH 64

struct reader {
	const char *at, *end;
	int depth;
};

static void blanks(struct reader *r)
{
	while (r->at < r->end && strchr(" \t\r\n", *r->at))
		r->at++;
}

static bool accept(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

/* ---- JSON ---- */

static bool value(struct reader *r);

static bool string(struct reader *r)
{
	if (!accept(r, '"'))
		return false;
	while (r->at < r->end && *r->at != '"') {
		if ((unsigned char)*r->at < ' ')
			return false;
		if (*r->at++ != '\\')
			continue;
		if (r->at == r->end || !strchr("\"\\/bfnrtu", *r->at))
			return false;
		if (*r->at++ == 'u')
			for (int i = 0; i < 4; i++, r->at++)
				if (r->at == r->end || !isxdigit((unsigned char)*r->at))
					return false;
	}
	return accept(r, '"');
}

static bool digits(struct reader *r)
{
	const char *from = r->at;

	while (r->at < r->end && isdigit((unsigned char)*r->at))
		r->at++;
	return r->at > from;
}

static bool number(struct reader *r)
{
	accept(r, '-');
	if (!accept(r, '0') && !digits(r))
		return false;
	if (accept(r, '.') && !digits(r))
		return false;
	if (accept(r, 'e') || accept(r, 'E')) {
		if (!accept(r, '+'))
			accept(r, '-');
		return digits(r);
	}
	return true;
}

static bool word(struct reader *r, const char *name)
{
	size_t len = strlen(name);

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, name, len) != 0)
		return false;
	r->at += len;
	return true;
}

/* What is between brackets; with names if it is an object. */
static bool list(struct reader *r, char close, bool named)
{
	blanks(r);
	if (accept(r, close))
		return true;
	do {
		blanks(r);
		if (named) {
			if (!string(r))
				return false;
			blanks(r);
			if (!accept(r, ':'))
				return false;
		}
		if (!value(r))
			return false;
		blanks(r);
	} while (accept(r, ','));
	return accept(r, close);
}

static bool value(struct reader *r)
{
	bool good;

	blanks(r);
	if (r->at == r->end || ++r->depth > DEPTH)
		return false;
	if (accept(r, '{'))
		good = list(r, '}', true);
	else if (accept(r, '['))
		good = list(r, ']', false);
	else if (*r->at == '"')
		good = string(r);
	else
		good = word(r, "true") || word(r, "false") || word(r, "null") || number(r);
	r->depth--;
	return good;
}

bool wellformed_json(const char *text, size_t len)
{
	struct reader r = {.at = text, .end = text + len};
	bool good = value(&r);

	blanks(&r);
	return good && r.at == r.end;
}

/* ---- XML ---- */

static bool name(struct reader *r, const char **from, size_t *len)
{
	*from = r->at;
	while (r->at < r->end && (isalnum((unsigned char)*r->at) || strchr("-_:.", *r->at)))
		r->at++;
	*len = (size_t)(r->at - *from);
	return *len && isalpha((unsigned char)**from);
}

/* Characters up to one of @stop; entities are the five that every reader knows. */
static bool characters(struct reader *r, char stop)
{
	static const char *const entities[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&apos;"};

	while (r->at < r->end && *r->at != stop && *r->at != '<') {
		bool known = *r->at != '&';

		if ((unsigned char)*r->at < ' ' && !strchr("\t\r\n", *r->at))
			return false;
		for (unsigned i = 0; i < 5 && !known; i++)
			known = word(r, entities[i]) && r->at--;
		if (!known)
			return false;
		r->at++;
	}
	return r->at < r->end;
}

static bool attributes(struct reader *r)
{
	const char *from;
	size_t len;

	for (;;) {
		const char *before = r->at;

		blanks(r);
		if (r->at == r->end || *r->at == '>' || *r->at == '/')
			return r->at < r->end;
		if (r->at == before || !name(r, &from, &len) || !accept(r, '=') ||
		    !accept(r, '"') || !characters(r, '"') || !accept(r, '"'))
			return false;
	}
}

static bool element(struct reader *r)
{
	const char *open, *close;
	size_t open_len, close_len;

	if (++r->depth > DEPTH || !accept(r, '<') || !name(r, &open, &open_len) ||
	    !attributes(r))
		return false;
	if (accept(r, '/')) {
		r->depth--;
		return accept(r, '>');
	}
	if (!accept(r, '>'))
		return false;
	for (;;) {
		if (!characters(r, '<'))
			return false;
		if (r->at + 1 < r->end && r->at[1] == '/')
			break;
		if (!element(r))
			return false;
	}
	r->at += 2;
	r->depth--;
	return name(r, &close, &close_len) && close_len == open_len &&
	       memcmp(open, close, open_len) == 0 && accept(r, '>');
}

bool wellformed_xml(const char *text, size_t len)
{
	struct reader r = {.at = text, .end = text + len};

	blanks(&r);
	if (!element(&r))
		return false;
	blanks(&r);
	return r.at == r.end;
}
