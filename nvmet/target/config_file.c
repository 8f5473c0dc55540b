/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_file.c - options from a file (--config)
 *
 * Owns: its syntax. A line is an option, by its name; what takes no value stands alone.
 *
 *	# a comment
 *	listen = 192.0.2.1:4420
 *	namespace = file:/srv/disk one.img
 *	no-digests
 *
 * They count as if they stood on the command line where --config does: what can be given
 * once is overridden by what comes later, what may be repeated is added to.
 * Never: knows an option.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lines.h"
#include "options.h"

/* Cuts "name = value"; NULL if there is no value. */
static char *cut(char *line)
{
	char *value = strchr(line, '='), *end = value;

	if (!value)
		return NULL;
	*value++ = 0;
	while (end > line && strchr(" \t", end[-1]))
		*--end = 0;
	return value + strspn(value, " \t");
}

int config_read(struct options *options, const char *path)
{
	struct lines lines = { .number = 0 };
	char *line, *value;

	if (options->config_text) {
		fprintf(stderr, "zcreq-nvmet: --config %s: there is one already\n", path);
		return -EINVAL;
	}
	lines.next = options->config_text = lines_read(path);
	if (!options->config_text) {
		fprintf(stderr, "zcreq-nvmet: --config %s: %s\n", path, strerror(errno));
		return -EINVAL;
	}
	while ((line = lines_next(&lines))) {
		value = cut(line);
		if (options_set(options, line, value)) {
			fprintf(stderr, "zcreq-nvmet: %s:%u: nothing is served with this line\n", path,
				lines.number);
			return -EINVAL;
		}
	}
	return 0;
}
