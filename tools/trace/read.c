/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * read.c - a file into events
 *
 * The file is a dump or the memory of a program, one that is no more or one that goes on
 * writing, and may be anything. After this every event has a kind that is known, and
 * there are as many as are said.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	    header->event_bytes != sizeof(struct zcreq_trace_event) ||
	    header->capacity < ZCREQ_TRACE_LEAST || header->capacity & (header->capacity - 1))
		return "its header makes no sense";
	if (used > (len - sizeof(*header)) / sizeof(struct zcreq_trace_event))
		return "cut short";
	return NULL;
}

/* How far the program is now that all has been read. A pipe has nothing more to say. */
static const char *look_again(FILE *file, off_t from, const struct zcreq_trace_header *header,
			      uint64_t *written)
{
	struct zcreq_trace_header now = *header;

	if (from >= 0 && pread(fileno(file), &now, sizeof(now), from) != (ssize_t)sizeof(now))
		now = *header;
	*written = now.written;
	now.written = header->written;
	return *written < header->written || memcmp(&now, header, sizeof(now)) != 0
		       ? "begun anew while it was read"
		       : NULL;
}

/*
 * The number of the oldest event that is surely whole, when so many have been written:
 * the next one may be half written already, in the place of the oldest.
 */
static uint64_t oldest_whole(const struct zcreq_trace_header *header, uint64_t written)
{
	return written < header->capacity ? 0 : written - (header->capacity - 1);
}

/* From number @first on in the order of writing, without what makes no sense. */
static const char *put_in_order(const struct zcreq_trace_header *header, uint64_t first,
				struct trace *trace)
{
	const struct zcreq_trace_event *fifo = (const struct zcreq_trace_event *)(header + 1);
	uint64_t newest_ns = 0;

	trace->lost = first;
	trace->events = malloc((header->written - first + 1) * sizeof(*fifo));
	if (!trace->events)
		return "no memory";
	for (uint64_t n = first; n != header->written; n++) {
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

static const char *read_trace(FILE *file, struct trace *trace)
{
	off_t from = ftello(file);
	const struct zcreq_trace_header *header;
	const char *wrong;
	uint64_t written, first;
	size_t len;

	header = trace->file = read_all(file, &len);
	if (!header)
		return "no memory";
	wrong = ferror(file) ? "cannot be read" : check_header(header, len);
	if (!wrong)
		wrong = look_again(file, from, header, &written);
	if (wrong)
		return wrong;
	first = oldest_whole(header, written);
	if (first && first >= header->written)
		return "written faster than it can be read";
	return put_in_order(header, first, trace);
}

const char *trace_read(FILE *file, struct trace *trace)
{
	const char *wrong;

	memset(trace, 0, sizeof(*trace));
	wrong = read_trace(file, trace);
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
