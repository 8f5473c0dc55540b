/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * namespace_file.c - the namespaces that a file lists (--namespaces)
 *
 * Owns: its syntax. A line is a namespace, in the order of their identifiers: words that say
 * who it is, each once, then what --namespace takes, to the end of the line.
 *
 *	# a comment
 *	uuid=7d444840-9dc0-11d1-b245-5ffdce74fad2 file:/srv/disk one.img
 *	nguid=4711cafe000000000000000000000001 mem:64M
 *
 * Never: opens a namespace, or takes a line that it does not understand.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lines.h"
#include "options.h"

#define ID_BYTES 16

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 32 digits, with hyphens anywhere between bytes. Not all of them are zero. */
static bool parse_id(const char *text, size_t len, uint8_t id[ID_BYTES])
{
	const char *end = text + len;
	unsigned count = 0, any = 0;
	int high, low;

	while (text < end) {
		if (*text == '-') {
			text++;
			continue;
		}
		high = hex_digit(*text);
		low = text + 1 < end ? hex_digit(text[1]) : -1;
		if (high < 0 || low < 0 || count == ID_BYTES)
			return false;
		id[count] = (uint8_t)(high << 4 | low);
		any |= id[count++];
		text += 2;
	}
	return count == ID_BYTES && any;
}

static bool is_known(const struct options *options, const struct namespace_option *one)
{
	static const uint8_t none[ID_BYTES];
	const struct namespace_option *other;
	unsigned i;

	for (i = 0; i < options->namespace_count; i++) {
		other = &options->namespaces[i];
		if ((one->named && other->named && !memcmp(one->uuid, other->uuid, ID_BYTES)) ||
		    (memcmp(one->nguid, none, ID_BYTES) &&
		     !memcmp(one->nguid, other->nguid, ID_BYTES)))
			return true;
	}
	return false;
}

/* NULL, or what is wrong with the line. */
static const char *parse_line(struct options *options, char *line)
{
	struct namespace_option one = { .spec = NULL };
	bool has_nguid = false;
	size_t len;

	for (; (len = strcspn(line, " \t")) && line[len]; line += len + strspn(line + len, " \t")) {
		if (!strncmp(line, "uuid=", 5) && !one.named) {
			one.named = parse_id(line + 5, len - 5, one.uuid);
			if (!one.named)
				return "a UUID has 32 hexadecimal digits, not all zero";
		} else if (!strncmp(line, "nguid=", 6) && !has_nguid) {
			has_nguid = parse_id(line + 6, len - 6, one.nguid);
			if (!has_nguid)
				return "an NGUID has 32 hexadecimal digits, not all zero";
		} else {
			break;
		}
	}
	one.spec = line;
	if (strncmp(line, "mem:", 4) && strncmp(line, "file:", 5))
		return "no namespace: mem:SIZE, file:PATH or file:PATH:SIZE, after uuid= and nguid=";
	if (is_known(options, &one))
		return "another namespace has that identity";
	if (options->namespace_count == NAMESPACES_MAX)
		return "too many of them";
	options->namespaces[options->namespace_count++] = one;
	return NULL;
}

int namespaces_read(struct options *options, const char *path)
{
	struct lines lines = { .number = 0 };
	const char *why;
	char *line;

	if (options->namespaces_text) {
		fprintf(stderr, "zcreq-nvmet: --namespaces %s: there is one already\n", path);
		return -EINVAL;
	}
	lines.next = options->namespaces_text = lines_read(path);
	if (!options->namespaces_text) {
		fprintf(stderr, "zcreq-nvmet: --namespaces %s: %s\n", path, strerror(errno));
		return -EINVAL;
	}
	while ((line = lines_next(&lines))) {
		why = parse_line(options, line);
		if (why) {
			fprintf(stderr, "zcreq-nvmet: %s:%u: %s\n", path, lines.number, why);
			return -EINVAL;
		}
	}
	return 0;
}
