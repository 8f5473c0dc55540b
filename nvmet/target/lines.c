/* SPDX-License-Identifier: BSD-2-Clause */
/* lines.c - the lines of a file that a person has written. Owns: nothing. */
#include "lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *lines_read(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;
	int err;

	if (!file)
		return NULL;
	errno = 0;
	if (getdelim(&text, &size, 0, file) < 0 && !ferror(file)) {
		free(text);
		text = strdup("");
	}
	err = ferror(file) ? errno : 0;
	fclose(file);
	if (err) {
		free(text);
		errno = err;
		return NULL;
	}
	return text;
}

char *lines_next(struct lines *lines)
{
	char *line, *end;

	while ((line = lines->next)) {
		lines->number++;
		lines->next = strchr(line, '\n');
		if (lines->next)
			*lines->next++ = 0;
		line += strspn(line, " \t");
		for (end = line + strlen(line); end > line && strchr(" \t\r", end[-1]);)
			*--end = 0;
		if (*line && *line != '#')
			return line;
	}
	return NULL;
}
