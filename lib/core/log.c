/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - the log of events: where they are kept, and how they get out
 *
 * A header and a fifo of events in the program's memory, both in the form in which they
 * are dumped, so that nothing has to be translated at a bad moment, and the memory of a
 * program that crashed is as good as a dump. An event is complete before it is counted.
 *
 * The points at which events are told (points.h) do not know this file. They look at one
 * hook in the context, which zcreq_trace_start() sets, and so only a program that calls
 * it links any of this.
 */
#include "core/points.h"

#include "base/options.h"

_Static_assert(sizeof(struct zcreq_trace_event) == 32, "the format of a dump");
_Static_assert(sizeof(struct zcreq_trace_header) == 64, "the format of a dump");

static struct zcreq_trace_event *events_of(struct zcreq_trace_header *header)
{
	return (struct zcreq_trace_event *)(header + 1);
}

/* Events for which one reading of the clock will do. */
#define READING_MOST 16

/*
 * Those that come in great number, several for each request, share a reading of the
 * clock, which takes longer than all the rest. What the kernel has part in has its own,
 * and so have the first in a turn and the first after it, since a program sleeps between.
 */
static bool shares_reading(unsigned kind)
{
	const uint32_t many = 1u << ZCREQ_TRACE_BEGIN | 1u << ZCREQ_TRACE_SEND |
			      1u << ZCREQ_TRACE_TAKE | 1u << ZCREQ_TRACE_DROP |
			      1u << ZCREQ_TRACE_FINISH | 1u << ZCREQ_TRACE_RELEASED |
			      1u << ZCREQ_TRACE_SETTLED | 1u << ZCREQ_TRACE_ABORTED;

	return many >> kind & 1;
}

static uint64_t event_time(struct zcreq_context *context, unsigned kind)
{
	struct zcreq_log *log = &context->log;

	if (!log->clock_ns)
		return context->now_ns;
	if (!log->reading_left || !shares_reading(kind)) {
		log->read_ns = log->clock_ns();
		log->reading_left = READING_MOST;
	}
	log->reading_left--;
	return log->read_ns;
}

/* The hook: keeps an event, whose time is not known yet. */
static void put(struct zcreq_context *context, const struct zcreq_trace_event *event)
{
	struct zcreq_trace_header *header = context->log.header;
	uint64_t time_ns = event_time(context, event->kind);
	struct zcreq_trace_event *kept =
		&events_of(header)[header->written & (header->capacity - 1)];

	/* after the last one was counted, and before this one is */
	__atomic_signal_fence(__ATOMIC_ACQ_REL);
	*kept = *event;
	kept->time_ns = time_ns;
	__atomic_signal_fence(__ATOMIC_RELEASE);
	header->written++;
}

int zcreq_trace_start(struct zcreq_context *context, const struct zcreq_trace_options *options)
{
	const size_t least = sizeof(struct zcreq_trace_header) +
			     ZCREQ_TRACE_LEAST * sizeof(struct zcreq_trace_event);
	struct zcreq_trace_options o;
	uint64_t capacity = ZCREQ_TRACE_LEAST, room;
	int ret;

	if (!context || !options)
		return -EINVAL;
	ret = zcreq_options_copy(&o, options, sizeof(o), 0);
	if (ret)
		return ret;
	if (!o.memory || (uintptr_t)o.memory % 8 || o.memory_bytes < least)
		return -EINVAL;
	if (context->log.put)
		return -EALREADY;
	room = (o.memory_bytes - sizeof(struct zcreq_trace_header)) /
	       sizeof(struct zcreq_trace_event);
	while (capacity <= room / 2)
		capacity *= 2;
	context->log = (struct zcreq_log){
		.put = put,
		.header = o.memory,
		.clock_ns = o.clock_ns,
	};
	*context->log.header = (struct zcreq_trace_header){
		.magic = ZCREQ_TRACE_MAGIC,
		.byte_order = ZCREQ_TRACE_BYTE_ORDER,
		.version = ZCREQ_TRACE_VERSION,
		.header_bytes = sizeof(struct zcreq_trace_header),
		.event_bytes = sizeof(struct zcreq_trace_event),
		.capacity = capacity,
	};
	context->tracing = true;
	return 0;
}

int zcreq_trace_stop(struct zcreq_context *context)
{
	if (!context)
		return -EINVAL;
	if (!context->log.put)
		return -ENOENT;
	context->log = (struct zcreq_log){.put = NULL};
	context->tracing = (context->guard_hooks != NULL) | zcreq_trace_probed();
	return 0;
}

int zcreq_trace_dump(const struct zcreq_context *context,
		     int (*write)(const void *bytes, size_t len, void *arg), void *arg)
{
	struct zcreq_trace_header *header;
	uint64_t used;
	int ret;

	if (!context || !write)
		return -EINVAL;
	if (!context->log.put)
		return -ENOENT;
	header = context->log.header;
	used = header->written < header->capacity ? header->written : header->capacity;
	ret = write(header, sizeof(*header), arg);
	if (ret >= 0 && used)
		ret = write(events_of(header), (size_t)used * sizeof(struct zcreq_trace_event),
			    arg);
	return ret < 0 ? ret : 0;
}
