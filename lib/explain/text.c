/* SPDX-License-Identifier: BSD-2-Clause */
#include "explain/text.h"

#include <stdarg.h>
#include <stdio.h>

static void add_list(struct zcreq_text *t, const char *format, va_list args)
{
	bool room = t->len < t->size;
	int len = vsnprintf(room ? t->text + t->len : NULL, room ? t->size - t->len : 0, format,
			    args);

	if (len > 0)
		t->len += (size_t)len;
}

void zcreq_text_add(struct zcreq_text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_list(t, format, args);
	va_end(args);
}

void zcreq_text_line(struct zcreq_text *t, const char *format, ...)
{
	va_list args;

	if (zcreq_text_is_json(t))
		return;
	if (t->len)
		zcreq_text_add(t, "\n%*s", (int)t->indent * 2, "");
	va_start(args, format);
	add_list(t, format, args);
	va_end(args);
}

void zcreq_text_duration(struct zcreq_text *t, uint64_t ns)
{
	uint64_t ms = ns / 1000000;

	if (zcreq_text_is_json(t) || ms < 1000)
		zcreq_text_add(t, zcreq_text_is_json(t) ? "%llu" : "%llu ms",
			       (unsigned long long)ms);
	else if (ms < 100000)
		zcreq_text_add(t, "%llu.%llu s", (unsigned long long)ms / 1000,
			       (unsigned long long)ms / 100 % 10);
	else
		zcreq_text_add(t, "%llu min", (unsigned long long)ms / 60000);
}

void zcreq_text_bytes(struct zcreq_text *t, uint64_t bytes)
{
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, "%llu", (unsigned long long)bytes);
	else if (bytes < 10240)
		zcreq_text_add(t, "%llu bytes", (unsigned long long)bytes);
	else if (bytes < 10485760)
		zcreq_text_add(t, "%llu KiB", (unsigned long long)bytes >> 10);
	else
		zcreq_text_add(t, "%llu MiB", (unsigned long long)bytes >> 20);
}

void zcreq_text_string(struct zcreq_text *t, const char *string)
{
	zcreq_text_add(t, "\"");
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			zcreq_text_add(t, "\\%c", *string);
		else
			zcreq_text_add(t, "%c", *string >= ' ' && *string <= '~' ? *string : '?');
	}
	zcreq_text_add(t, "\"");
}

void zcreq_text_item(struct zcreq_text *t, const char *words)
{
	if (t->items++)
		zcreq_text_add(t, zcreq_text_is_json(t) ? "," : ", ");
	zcreq_text_add(t, zcreq_text_is_json(t) ? "\"%s\"" : "%s", words);
}

int zcreq_text_end(struct zcreq_text *t)
{
	if (zcreq_text_is_json(t) && t->size && t->len >= t->size)
		snprintf(t->text, t->size, "%s", t->size > 2 ? "{}" : "");
	return (int)t->len;
}
