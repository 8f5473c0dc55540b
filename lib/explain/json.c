/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - facts as one JSON object, for programs
 *
 * All that programs are told of a thing stands in one table: a row says what a field is
 * called, where its fact is and how that is written. So a new fact is a row here, and a
 * member of a struct in facts.h. What a name means and in which order they come does not
 * change from release to release; programs ignore names that they do not know.
 */
#include "explain/render.h"

#include <stddef.h>
#include <stdio.h>

/* ---- values ---- */

void zcreq_json_ms(struct zcreq_writer *w, uint64_t ns)
{
	zcreq_writer_add(w, "%llu", (unsigned long long)ns / 1000000);
}

void zcreq_json_string(struct zcreq_writer *w, const char *string)
{
	zcreq_writer_add(w, "\"");
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			zcreq_writer_add(w, "\\%c", *string);
		else
			zcreq_writer_add(w, "%c", *string >= ' ' && *string <= '~' ? *string : '?');
	}
	zcreq_writer_add(w, "\"");
}

static void count32(struct zcreq_writer *w, const void *fact)
{
	zcreq_writer_add(w, "%u", *(const uint32_t *)fact);
}

static void count64(struct zcreq_writer *w, const void *fact)
{
	zcreq_writer_add(w, "%llu", (unsigned long long)*(const uint64_t *)fact);
}

static void count_or_null(struct zcreq_writer *w, const void *fact)
{
	if (*(const uint64_t *)fact == ZCREQ_UNKNOWN)
		zcreq_writer_add(w, "null");
	else
		count64(w, fact);
}

static void ms(struct zcreq_writer *w, const void *fact)
{
	zcreq_json_ms(w, *(const uint64_t *)fact);
}

static void ms_or_null(struct zcreq_writer *w, const void *fact)
{
	if (*(const uint64_t *)fact == ZCREQ_UNKNOWN)
		zcreq_writer_add(w, "null");
	else
		ms(w, fact);
}

/* Numbers of 64 bits that programs compare as strings, since not every reader has them. */
static void handle(struct zcreq_writer *w, const void *fact)
{
	zcreq_writer_add(w, "\"%#llx\"", (unsigned long long)*(const uint64_t *)fact);
}

static void status(struct zcreq_writer *w, const void *fact)
{
	zcreq_writer_add(w, "%d", *(const int32_t *)fact);
}

static void truth(struct zcreq_writer *w, const void *fact)
{
	zcreq_writer_add(w, *(const bool *)fact ? "true" : "false");
}

/* One of our own words. */
static void word(struct zcreq_writer *w, const void *fact)
{
	zcreq_writer_add(w, "\"%s\"", *(const char *const *)fact);
}

static void file_name(struct zcreq_writer *w, const void *fact)
{
	char name[ZCREQ_FACTS_NAME + 1];

	snprintf(name, sizeof(name), "%s", *(const char *const *)fact);
	zcreq_json_string(w, name);
}

static void verdict(struct zcreq_writer *w, const void *fact)
{
	static const char *const names[] = {
		[ZCREQ_STALL_VANISHED] = "vanished",
		[ZCREQ_STALL_NOT_READING] = "not_reading",
		[ZCREQ_STALL_CONGESTED] = "congested",
	};

	zcreq_writer_add(w, "\"%s\"", names[*(const enum zcreq_stall *)fact]);
}

static void cause(struct zcreq_writer *w, const void *fact)
{
	static const char *const names[] = {
		[ZCREQ_CAUSE_NONE] = "none",
		[ZCREQ_CAUSE_DRAINED] = "drained",
		[ZCREQ_CAUSE_ABORTED] = "aborted",
		[ZCREQ_CAUSE_FREED] = "freed",
		[ZCREQ_CAUSE_DRAIN_DEADLINE] = "drain_deadline",
		[ZCREQ_CAUSE_VANISHED] = "vanished",
		[ZCREQ_CAUSE_NOT_READING] = "not_reading",
		[ZCREQ_CAUSE_IDLE] = "idle",
		[ZCREQ_CAUSE_KERNEL_TIMEOUT] = "kernel_timeout",
		[ZCREQ_CAUSE_RESET] = "reset",
		[ZCREQ_CAUSE_SOCKET] = "socket",
		[ZCREQ_CAUSE_MEMORY] = "memory",
		[ZCREQ_CAUSE_DESCRIPTOR] = "descriptor",
		[ZCREQ_CAUSE_SENDER] = "sender",
	};

	zcreq_writer_add(w, "\"%s\"", names[*(const enum zcreq_cause *)fact]);
}

static void let_go(struct zcreq_writer *w, const void *fact)
{
	const bool disconnected = *(const enum zcreq_ladder *)fact == ZCREQ_LADDER_LET_GO;

	truth(w, &disconnected);
}

static bool is_known(const void *fact)
{
	return *(const uint64_t *)fact != ZCREQ_UNKNOWN;
}

static bool is_there(const void *fact)
{
	return *(const char *const *)fact != NULL;
}

static bool is_any(const void *fact)
{
	return *(const uint64_t *)fact != 0;
}

/* ---- the table ---- */

/* Which object a field is in, and where its fields are interrupted by something else. */
enum part { TOTALS = 1, CONN, STREAM, PEER, REQUEST, SENDS, SEND, HOLDS, HOLD };

struct field {
	enum part part;
	uint16_t at;
	const char *name;
	void (*write)(struct zcreq_writer *w, const void *fact);
	bool (*told)(const void *fact); /* NULL: always */
};

#define FIELD(part, facts, member, name, write) \
	{part, offsetof(struct zcreq_##facts, member), name, write, NULL}
#define FIELD_IF(told, part, facts, member, name, write) \
	{part, offsetof(struct zcreq_##facts, member), name, write, told}

static const struct field fields[] = {
	FIELD(TOTALS, stats, connections_now, "connections", count64),
	FIELD(TOTALS, stats, requests_now, "requests", count64),
	FIELD(TOTALS, stats, holds_now, "holds", count64),
	FIELD(TOTALS, stats, quarantined_now, "quarantined", count64),
	FIELD(TOTALS, stats, stale_handles, "stale_handles", count64),
	FIELD(TOTALS, stats, begun, "begun", count64),
	FIELD(TOTALS, stats, released, "released", count64),
	FIELD(TOTALS, stats, aborted, "aborted", count64),
	FIELD(TOTALS, stats, unsent_bytes_now, "unsent_bytes", count64),
	FIELD(TOTALS, stats, kernel_bytes_now, "kernel_bytes", count64),
	FIELD(TOTALS, stats, oldest_age_ns, "oldest_age_ms", ms),

	FIELD(CONN, conn_facts, number, "connection", count32),
	FIELD(CONN, conn_facts, state, "state", word),
	FIELD(CONN, conn_facts, request_count, "request_count", count32),
	FIELD(CONN, conn_facts, status, "status", status),
	FIELD(CONN, conn_facts, cause, "cause", cause),

	FIELD(STREAM, stream_facts, unsent_bytes, "unsent_bytes", count64),
	FIELD(STREAM, stream_facts, kernel_bytes, "kernel_bytes", count64),
	FIELD_IF(is_any, STREAM, stream_facts, detached_bytes, "detached_bytes", count64),
	FIELD(STREAM, stream_facts, batches, "batches", count32),
	FIELD(STREAM, stream_facts, oldest_id, "oldest_id", count32),
	FIELD(STREAM, stream_facts, ladder, "disconnected", let_go),

	FIELD(PEER, peer_facts, verdict, "verdict", verdict),
	FIELD(PEER, peer_facts, quiet_ns, "heard_ms", ms),
	FIELD(PEER, peer_facts, retransmits, "retransmits", count32),
	FIELD(PEER, peer_facts, probes, "probes", count32),
	FIELD(PEER, peer_facts, window_closed, "window_closed", truth),
	FIELD(PEER, peer_facts, unacked_bytes, "unacked_bytes", count_or_null),
	FIELD(PEER, peer_facts, look_in_ns, "look_in_ms", ms_or_null),

	FIELD(REQUEST, request_facts, handle, "request", handle),
	FIELD(REQUEST, request_facts, conn_number, "connection", count32),
	FIELD(REQUEST, request_facts, state, "state", word),
	FIELD(REQUEST, request_facts, status, "status", status),
	FIELD(REQUEST, request_facts, age_ns, "age_ms", ms_or_null),

	FIELD(SENDS, request_facts, send_count, "send_count", count32),
	FIELD(SENDS, request_facts, send_bytes, "send_bytes", count64),

	FIELD(SEND, send_facts, total_bytes, "bytes", count64),
	FIELD(SEND, send_facts, unsent_bytes, "unsent_bytes", count64),
	FIELD(SEND, send_facts, kernel_bytes, "kernel_bytes", count64),
	FIELD_IF(is_known, SEND, send_facts, acked_bytes, "acked_bytes", count64),
	FIELD(SEND, send_facts, age_ns, "age_ms", ms_or_null),

	FIELD(HOLDS, request_facts, hold_count, "hold_count", count32),

	FIELD(HOLD, hold_facts, handle, "hold", handle),
	FIELD(HOLD, hold_facts, age_ns, "age_ms", ms_or_null),
	FIELD_IF(is_there, HOLD, hold_facts, taken_in, "taken_in", file_name),
	FIELD(HOLD, hold_facts, taken_at, "taken_at", handle),
};

/* The fields of one part of an object; @before stands before the first of them. */
static void add_fields(struct zcreq_writer *w, char before, enum part part, const void *facts)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		const struct field *field = &fields[i];
		const void *fact = (const char *)facts + field->at;

		if (field->part != part || (field->told && !field->told(fact)))
			continue;
		zcreq_writer_add(w, "%c\"%s\":", before, field->name);
		field->write(w, fact);
		before = ',';
	}
}

/* ---- objects ---- */

static void separate(struct zcreq_writer *w, uint32_t number)
{
	if (number)
		zcreq_writer_add(w, ",");
}

static void add_request(struct zcreq_writer *w, const struct zcreq_request_facts *request)
{
	add_fields(w, '{', REQUEST, request);
	add_fields(w, ',', SENDS, request);
	zcreq_writer_add(w, ",\"sends\":[");
	for (uint32_t i = 0; i < request->sends_seen; i++) {
		separate(w, i);
		add_fields(w, '{', SEND, &request->sends[i]);
		zcreq_writer_add(w, "}");
	}
	zcreq_writer_add(w, "]");
	add_fields(w, ',', HOLDS, request);
	zcreq_writer_add(w, ",\"holds\":[");
	for (uint32_t i = 0; i < request->holds_seen; i++) {
		separate(w, i);
		add_fields(w, '{', HOLD, &request->holds[i]);
		zcreq_writer_add(w, "}");
	}
	zcreq_writer_add(w, "],\"waits_for\":[");
	for (uint32_t i = 0; i < request->wait_count; i++) {
		separate(w, i);
		word(w, &request->waits[i]);
	}
	zcreq_writer_add(w, "]}");
}

static void add_conn(struct zcreq_writer *w, const struct zcreq_conn_facts *conn)
{
	add_fields(w, '{', CONN, conn);
	if (conn->stream.ladder)
		add_fields(w, ',', STREAM, &conn->stream);
	if (conn->stream.peer.verdict) {
		zcreq_writer_add(w, ",\"peer\":");
		add_fields(w, '{', PEER, &conn->stream.peer);
		zcreq_writer_add(w, "}");
	}
	zcreq_writer_add(w, ",\"requests\":[");
	for (uint32_t i = 0; i < conn->requests_seen; i++) {
		separate(w, i);
		add_request(w, &conn->requests[i]);
	}
	zcreq_writer_add(w, "]}");
}

static void add_context(struct zcreq_writer *w, const struct zcreq_context_facts *context)
{
	add_fields(w, '{', TOTALS, &context->stats);
	zcreq_writer_add(w, ",\"oldest_connections\":[");
	for (uint32_t i = 0; i < context->conns_seen; i++) {
		separate(w, i);
		add_conn(w, &context->conns[i]);
	}
	zcreq_writer_add(w, "]}");
}

const struct zcreq_renderer zcreq_json_renderer = {
	.request = add_request,
	.conn = add_conn,
	.context = add_context,
	.instead = "{}",
};
