/* SPDX-License-Identifier: BSD-2-Clause */
#include "explain/writer.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void zcreq_writer_add(struct zcreq_writer *w, const char *format, ...)
{
	bool room = w->len < w->size;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(room ? w->text + w->len : NULL, room ? w->size - w->len : 0, format,
			args);
	va_end(args);
	if (len > 0)
		w->len += (size_t)len;
}

int zcreq_writer_end(struct zcreq_writer *w, const char *instead)
{
	if (instead && w->size && w->len >= w->size)
		snprintf(w->text, w->size, "%s", strlen(instead) < w->size ? instead : "");
	return (int)w->len;
}
