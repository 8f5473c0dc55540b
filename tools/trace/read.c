/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * read.c - a file into events
 *
 * The file is a dump or the memory of a program that is no more, and may be anything.
 * After this every event has a kind that is known, and there are as many as are said.
 */
#include <stdlib.h>
#include <string.h>

#include "timeline.h"

static const char *const kind_names[ZCREQ_TRACE_KINDS] = {
	[ZCREQ_TRACE_OPEN] = "open",
	[ZCREQ_TRACE_BEGIN] = "begin",
	[ZCREQ_TRACE_SEND] = "send",
	[ZCREQ_TRACE_TAKE] = "take",
	[ZCREQ_TRACE_DROP] = "drop",
	[ZCREQ_TRACE_FINISH] = "finish",
	[ZCREQ_TRACE_BATCH] = "batch",
	[ZCREQ_TRACE_COPY] = "copy",
	[ZCREQ_TRACE_NOTIFIED] = "notified",
	[ZCREQ_TRACE_NO_BUFFERS] = "no_buffers",
	[ZCREQ_TRACE_SETTLED] = "settled",
	[ZCREQ_TRACE_RELEASED] = "released",
	[ZCREQ_TRACE_ABORTED] = "aborted",
	[ZCREQ_TRACE_QUARANTINED] = "quarantined",
	[ZCREQ_TRACE_DRAIN] = "drain",
	[ZCREQ_TRACE_STALL] = "stall",
	[ZCREQ_TRACE_ABORT] = "abort",
	[ZCREQ_TRACE_DISCONNECT] = "disconnect",
	[ZCREQ_TRACE_CLOSED] = "closed",
	[ZCREQ_TRACE_STALE] = "stale",
	[ZCREQ_TRACE_MARK] = "mark",
	[ZCREQ_TRACE_DETACH] = "detach",
};

const char *trace_kind_name(unsigned kind)
{
	return kind < ZCREQ_TRACE_KINDS && kind_names[kind] ? kind_names[kind] : "?";
}

void trace_mark_text(const struct zcreq_trace_event *event, char *text)
{
	memcpy(text, &event->subject, 8);
	memcpy(text + 8, &event->first, 4);
	memcpy(text + 12, &event->last, 4);
	text[16] = '\0';
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* The whole file, of a size that is not known before; NULL without memory. */
static char *read_all(FILE *file, size_t *len)
{
	size_t room = 1 << 16, used = 0, got;
	char *bytes = malloc(room), *more;

	while (bytes && (got = fread(bytes + used, 1, room - used, file)) > 0) {
		used += got;
		if (used < room)
			continue;
		more = realloc(bytes, room *= 2);
		if (!more)
			free(bytes);
		bytes = more;
	}
	*len = used;
	return bytes;
}

static const char *check_header(const struct zcreq_trace_header *header, size_t len)
{
	uint64_t used = header->written < header->capacity ? header->written : header->capacity;

	if (len < sizeof(*header) || memcmp(header->magic, ZCREQ_TRACE_MAGIC, 8) != 0)
		return "not a trace";
	if (header->byte_order != ZCREQ_TRACE_BYTE_ORDER)
		return "written on a machine of another byte order";
	if (header->version != ZCREQ_TRACE_VERSION)
		return "of a version that is not known here";
	if (header->header_bytes != sizeof(*header) ||
	    header->event_bytes != sizeof(struct zcreq_trace_event) || !header->capacity ||
	    header->capacity & (header->capacity - 1))
		return "its header makes no sense";
	if (used > (len - sizeof(*header)) / sizeof(struct zcreq_trace_event))
		return "cut short";
	return NULL;
}

/* In the order of writing, without what makes no sense. */
static const char *put_in_order(const struct zcreq_trace_header *header, struct trace *trace)
{
	const struct zcreq_trace_event *fifo = (const struct zcreq_trace_event *)(header + 1);
	uint64_t used = header->written < header->capacity ? header->written : header->capacity;
	uint64_t newest_ns = 0;

	trace->lost = header->written - used;
	trace->events = malloc((used ? used : 1) * sizeof(*fifo));
	if (!trace->events)
		return "no memory";
	for (uint64_t n = header->written - used; n != header->written; n++) {
		struct zcreq_trace_event event = fifo[n & (header->capacity - 1)];

		if (!event.kind || event.kind >= ZCREQ_TRACE_KINDS)
			return "an event in it makes no sense";
		/* a clock that went back would make lives of negative length */
		if (event.time_ns < newest_ns)
			event.time_ns = newest_ns;
		newest_ns = event.time_ns;
		trace->events[trace->count++] = event;
	}
	return NULL;
}

const char *trace_read(FILE *file, struct trace *trace)
{
	const char *wrong;
	size_t len;

	memset(trace, 0, sizeof(*trace));
	trace->file = read_all(file, &len);
	if (!trace->file)
		return "no memory";
	wrong = ferror(file) ? "cannot be read" : check_header(trace->file, len);
	if (!wrong)
		wrong = put_in_order(trace->file, trace);
	if (wrong)
		trace_free(trace);
	return wrong;
}

void trace_free(struct trace *trace)
{
	free(trace->file);
	free(trace->events);
	memset(trace, 0, sizeof(*trace));
}
