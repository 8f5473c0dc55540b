/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/samples.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

#define NAME 128
#define FAMILIES 128
#define SAMPLES 1024

static struct {
	char names[FAMILIES][NAME]; /* the last one is being told of */
	bool counter, typed;
	unsigned families;
	const char *samples[SAMPLES]; /* of this family: each a line up to its value */
	size_t lengths[SAMPLES];
	unsigned count;
} seen;

/* A name at *at, which moves behind it. */
static bool take_name(const char **at, char name[NAME])
{
	size_t len = 0;

	if (!isalpha((unsigned char)**at) && **at != '_')
		return false;
	while (isalnum((unsigned char)**at) || **at == '_') {
		if (len == NAME - 1)
			return false;
		name[len++] = *(*at)++;
	}
	name[len] = '\0';
	return true;
}

static bool take(const char **at, const char *text)
{
	if (strncmp(*at, text, strlen(text)) != 0)
		return false;
	*at += strlen(text);
	return true;
}

static bool take_value_of_label(const char **at)
{
	if (!take(at, "\""))
		return false;
	for (; **at != '"'; ++*at) {
		if (!**at || **at == '\n')
			return false;
		if (**at == '\\' && !strchr("\\\"n", *++*at))
			return false;
	}
	++*at;
	return true;
}

static bool take_labels(const char **at)
{
	char names[16][NAME];
	unsigned count = 0;

	if (!take(at, "{"))
		return true;
	while (!take(at, "}")) {
		if (count == 16 || (count && !take(at, ",")) || !take_name(at, names[count]) ||
		    !take(at, "=") || !take_value_of_label(at))
			return false;
		for (unsigned i = 0; i < count; i++)
			if (!strcmp(names[i], names[count]))
				return false;
		count++;
	}
	return true;
}

static bool is_total(const char *name)
{
	size_t len = strlen(name);

	return len > 6 && !strcmp(name + len - 6, "_total");
}

static bool help(const char *at)
{
	char name[NAME];

	if (!take_name(&at, name) || !take(&at, " ") || seen.families == FAMILIES)
		return false;
	for (unsigned i = 0; i < seen.families; i++)
		if (!strcmp(seen.names[i], name))
			return false;
	strcpy(seen.names[seen.families++], name);
	seen.typed = false;
	seen.count = 0;
	return true;
}

static bool type(const char *at)
{
	char name[NAME];

	if (!take_name(&at, name) || !seen.families || seen.typed ||
	    strcmp(seen.names[seen.families - 1], name))
		return false;
	seen.typed = true;
	seen.counter = take(&at, " counter\n");
	return (seen.counter || take(&at, " gauge\n")) && seen.counter == is_total(name);
}

static bool sample(const char *line)
{
	const char *at = line;
	char name[NAME], *end;
	size_t len;

	if (!take_name(&at, name) || !seen.families || !seen.typed ||
	    strcmp(seen.names[seen.families - 1], name) || !take_labels(&at) || !take(&at, " "))
		return false;
	len = (size_t)(at - line);
	for (unsigned i = 0; i < seen.count; i++)
		if (seen.lengths[i] == len && !memcmp(seen.samples[i], line, len))
			return false;
	if (seen.count == SAMPLES || !isdigit((unsigned char)*at))
		return false;
	seen.samples[seen.count] = line;
	seen.lengths[seen.count++] = len;
	strtod(at, &end);
	return *end == '\n';
}

const char *samples_wrong(const char *text)
{
	memset(&seen, 0, sizeof(seen));
	for (const char *line = text, *next; *line; line = next) {
		const char *end = strchr(line, '\n');
		bool good;

		if (!end)
			return line;
		next = end + 1;
		if (!strncmp(line, "# HELP ", 7))
			good = help(line + 7);
		else if (!strncmp(line, "# TYPE ", 7))
			good = type(line + 7);
		else
			good = sample(line);
		if (!good)
			return line;
	}
	return NULL;
}

void samples_check(const char *text)
{
	const char *wrong = samples_wrong(text);

	if (wrong)
		ck_abort_msg("this is wrong: %.*s", (int)strcspn(wrong, "\n"), wrong);
	CLAIM(seen.families > 0);
}
