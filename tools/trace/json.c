/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - the trace event format that chrome://tracing and Perfetto read
 *
 * A connection is a thread, a request an asynchronous slice with its phases nested in
 * it, and what happens to a connection an instant on its thread.
 */
#include <inttypes.h>
#include <string.h>

#include "timeline.h"

/* What a viewer takes is microseconds. */
static double us(const struct lives *lives, uint64_t time_ns)
{
	return (double)(time_ns - lives->from_ns) / 1e3;
}

static void string(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void slice(FILE *out, const struct lives *lives, const struct life *life, char phase,
		  const char *name, uint64_t time_ns)
{
	fprintf(out, ",\n{\"ph\":\"%c\",\"cat\":\"request\",\"pid\":1,\"tid\":%" PRIu32
		",\"id\":\"%#" PRIx64 "\",\"ts\":%.3f,\"name\":\"%s\"}",
		phase, life->conn, life->request, us(lives, time_ns), name);
}

static void begin_life(FILE *out, const struct lives *lives, const struct life *life)
{
	fprintf(out, ",\n{\"ph\":\"b\",\"cat\":\"request\",\"pid\":1,\"tid\":%" PRIu32
		",\"id\":\"%#" PRIx64 "\",\"ts\":%.3f,\"name\":\"request\",\"args\":{\"status\":%d,"
		"\"released\":%s,\"began_before_the_trace\":%s}}",
		life->conn, life->request, us(lives, life->begun_ns), life->status,
		life->released ? "true" : "false", life->headless ? "true" : "false");
}

static void news(FILE *out, const struct lives *lives, const struct zcreq_trace_event *event)
{
	char text[160];

	trace_news(event, text, sizeof(text));
	fprintf(out, ",\n{\"ph\":\"i\",\"cat\":\"connection\",\"pid\":1,\"tid\":%" PRIu32
		",\"s\":\"%c\",\"ts\":%.3f,\"name\":", event->conn,
		event->kind == ZCREQ_TRACE_MARK ? 'g' : 't', us(lives, event->time_ns));
	string(out, text);
	fprintf(out, ",\"args\":{\"status\":%d}}", event->status);
}

void trace_json(FILE *out, const struct trace *trace, const struct lives *lives)
{
	fprintf(out, "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"lost_events\":\"%" PRIu64
		"\"},\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":1,\"tid\":0,\"name\":\"process_name\","
		"\"args\":{\"name\":\"zcreq\"}}", trace->lost);
	for (size_t i = 0; i < lives->count; i++)
		begin_life(out, lives, &lives->lives[i]);
	for (size_t i = 0; i < lives->stretch_count; i++) {
		const struct stretch *stretch = &lives->stretches[i];
		const struct life *life = &lives->lives[stretch->life];

		slice(out, lives, life, 'b', phase_names[stretch->phase], stretch->from_ns);
		slice(out, lives, life, 'e', phase_names[stretch->phase], stretch->to_ns);
	}
	for (size_t i = 0; i < lives->count; i++)
		slice(out, lives, &lives->lives[i], 'e', "request", lives->lives[i].ended_ns);
	for (size_t i = 0; i < trace->count; i++)
		if (trace_is_news(&trace->events[i]))
			news(out, lives, &trace->events[i]);
	fprintf(out, "\n]}\n");
}
