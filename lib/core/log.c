/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.c - the ring of events: where they go, and how they get out
 *
 * The ring and its header are written in the form in which they are dumped, so that
 * nothing has to be translated at a bad moment, and the memory of a program that
 * crashed is as good as a dump. An event is complete before it is counted.
 */
#include "core/points.h"

#include "base/options.h"

_Static_assert(sizeof(struct zcreq_trace_event) == 32, "the format of a dump");
_Static_assert(sizeof(struct zcreq_trace_header) == 64, "the format of a dump");

static struct zcreq_trace_event *events_of(struct zcreq_trace_header *ring)
{
	return (struct zcreq_trace_event *)(ring + 1);
}

/* Events for which one reading of the clock will do. */
#define READING_MOST 16

/*
 * Those that come in great number, several for each request, share a reading of the
 * clock, which takes longer than all the rest. What the kernel has part in has its own,
 * and so has the first after a tick, since a program sleeps after ticks.
 */
static bool shares_reading(enum zcreq_trace_kind kind)
{
	const uint32_t many = 1u << ZCREQ_TRACE_BEGIN | 1u << ZCREQ_TRACE_SEND |
			      1u << ZCREQ_TRACE_TAKE | 1u << ZCREQ_TRACE_DROP |
			      1u << ZCREQ_TRACE_FINISH | 1u << ZCREQ_TRACE_RELEASED |
			      1u << ZCREQ_TRACE_SETTLED | 1u << ZCREQ_TRACE_ABORTED;

	return many >> kind & 1;
}

static uint64_t event_time(struct zcreq_context *context, enum zcreq_trace_kind kind)
{
	if (!context->clock_ns)
		return context->now_ns;
	if (!context->reading_left || !shares_reading(kind)) {
		context->read_ns = context->clock_ns();
		context->reading_left = READING_MOST;
	}
	context->reading_left--;
	return context->read_ns;
}

void zcreq_trace_put(struct zcreq_context *context, enum zcreq_trace_kind kind, uint32_t conn,
		     uint64_t subject, int status, uint32_t first, uint32_t last)
{
	struct zcreq_trace_header *ring = context->ring;

	if (!ring)
		return;
	events_of(ring)[ring->written & (ring->capacity - 1)] = (struct zcreq_trace_event){
		.time_ns = event_time(context, kind),
		.subject = subject,
		.conn = conn,
		.kind = kind,
		.status = (int16_t)status,
		.first = first,
		.last = last,
	};
	__atomic_signal_fence(__ATOMIC_RELEASE);
	ring->written++;
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
	ret = zcreq_options_copy(&o, options, sizeof(o));
	if (ret)
		return ret;
	if (!o.memory || (uintptr_t)o.memory % 8 || o.memory_bytes < least)
		return -EINVAL;
	if (context->ring)
		return -EALREADY;
	room = (o.memory_bytes - sizeof(struct zcreq_trace_header)) /
	       sizeof(struct zcreq_trace_event);
	while (capacity <= room / 2)
		capacity *= 2;
	context->ring = o.memory;
	*context->ring = (struct zcreq_trace_header){
		.magic = ZCREQ_TRACE_MAGIC,
		.byte_order = ZCREQ_TRACE_BYTE_ORDER,
		.version = ZCREQ_TRACE_VERSION,
		.header_bytes = sizeof(struct zcreq_trace_header),
		.event_bytes = sizeof(struct zcreq_trace_event),
		.capacity = capacity,
	};
	context->clock_ns = o.clock_ns;
	context->reading_left = 0;
	context->tracing = true;
	return 0;
}

int zcreq_trace_stop(struct zcreq_context *context)
{
	if (!context)
		return -EINVAL;
	if (!context->ring)
		return -ENOENT;
	context->ring = NULL;
	context->tracing = zcreq_trace_probed();
	return 0;
}

int zcreq_trace_dump(const struct zcreq_context *context,
		     int (*write)(const void *bytes, size_t len, void *arg), void *arg)
{
	struct zcreq_trace_header *ring;
	uint64_t used;
	int ret;

	if (!context || !write)
		return -EINVAL;
	ring = context->ring;
	if (!ring)
		return -ENOENT;
	used = ring->written < ring->capacity ? ring->written : ring->capacity;
	ret = write(ring, sizeof(*ring), arg);
	if (ret >= 0 && used)
		ret = write(events_of(ring), used * sizeof(struct zcreq_trace_event), arg);
	return ret < 0 ? ret : 0;
}
