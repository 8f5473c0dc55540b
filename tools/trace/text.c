/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.c - a line for each event, for grep
 */
#include <inttypes.h>

#include "timeline.h"

void trace_text(FILE *out, const struct trace *trace)
{
	uint64_t zero_ns = trace->count ? trace->events[0].time_ns : 0;
	char mark[17];

	if (trace->lost)
		fprintf(out, "# %" PRIu64 " older events are missing\n", trace->lost);
	for (size_t i = 0; i < trace->count; i++) {
		const struct zcreq_trace_event *event = &trace->events[i];

		fprintf(out, "%.6f %s", (double)(event->time_ns - zero_ns) / 1e6,
			trace_kind_name(event->kind));
		if (event->kind == ZCREQ_TRACE_MARK) {
			trace_mark_text(event, mark);
			fprintf(out, " \"%s\"\n", mark);
			continue;
		}
		fprintf(out, " conn=%" PRIu32 " subject=%#" PRIx64 " status=%d first=%" PRIu32
			" last=%" PRIu32 "\n",
			event->conn, event->subject, event->status, event->first, event->last);
	}
}
