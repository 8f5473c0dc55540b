/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.c - facts in words, for people
 *
 * Sentences, a line for each thing and indented below what it belongs to. Words leave out
 * what is as usual (a status of 0, bytes of which there are none) and put first what
 * people ask first, so they have no table: the order is that of the functions here.
 */
#include "explain/render.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/words.h"

typedef unsigned long long number; /* for printf */

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* A new line, unless it is the first; @depth in steps of two blanks. */
static void line(struct zcreq_writer *w, unsigned depth)
{
	if (w->len)
		zcreq_writer_add(w, "\n%*s", (int)depth * 2, "");
}

void zcreq_text_duration(struct zcreq_writer *w, uint64_t ns)
{
	number ms = ns / 1000000;

	if (ms < 1000)
		zcreq_writer_add(w, "%llu ms", ms);
	else if (ms < 100000)
		zcreq_writer_add(w, "%llu.%llu s", ms / 1000, ms / 100 % 10);
	else
		zcreq_writer_add(w, "%llu min", ms / 60000);
}

static void add_bytes(struct zcreq_writer *w, uint64_t bytes)
{
	if (bytes < 10240)
		zcreq_writer_add(w, "%llu bytes", (number)bytes);
	else if (bytes < 10485760)
		zcreq_writer_add(w, "%llu KiB", (number)bytes >> 10);
	else
		zcreq_writer_add(w, "%llu MiB", (number)bytes >> 20);
}

static void add_age(struct zcreq_writer *w, uint64_t age_ns)
{
	if (age_ns == ZCREQ_UNKNOWN) {
		zcreq_writer_add(w, ", of unknown age (no turn yet)");
		return;
	}
	zcreq_writer_add(w, ", ");
	zcreq_text_duration(w, age_ns);
	zcreq_writer_add(w, " old");
}

static void add_status(struct zcreq_writer *w, int status)
{
	if (status)
		zcreq_writer_add(w, ", status %d (%s)", status, strerror((int)-(unsigned)status));
}

static void add_more(struct zcreq_writer *w, unsigned depth, uint32_t more, const char *what)
{
	if (!more)
		return;
	line(w, depth);
	zcreq_writer_add(w, "and %u more%s", more, what);
}

/* ---- a request ---- */

static void add_send(struct zcreq_writer *w, unsigned depth, const struct zcreq_send_facts *send)
{
	line(w, depth);
	zcreq_writer_add(w, "send of %llu bytes", (number)send->total_bytes);
	add_age(w, send->age_ns);
	if (send->unsent_bytes)
		zcreq_writer_add(w, ": %llu unsent", (number)send->unsent_bytes);
	if (!send->kernel_bytes)
		return;
	zcreq_writer_add(w, "%c %llu in the kernel", send->unsent_bytes ? ',' : ':',
			 (number)send->kernel_bytes);
	if (send->acked_bytes == ZCREQ_UNKNOWN)
		return;
	if (!send->acked_bytes)
		zcreq_writer_add(w, ", not ACKed");
	else if (send->acked_bytes < send->kernel_bytes)
		zcreq_writer_add(w, ", %llu of them ACKed", (number)send->acked_bytes);
	else
		zcreq_writer_add(w, ", ACKed");
}

/* Its place is "program+0x1234 (function)", for addr2line. */
static void add_hold(struct zcreq_writer *w, unsigned depth, const struct zcreq_hold_facts *hold)
{
	line(w, depth);
	zcreq_writer_add(w, "hold of the caller");
	add_age(w, hold->age_ns);
	zcreq_writer_add(w, ", taken at ");
	if (hold->taken_in)
		zcreq_writer_add(w, "%.*s+", ZCREQ_FACTS_NAME, hold->taken_in);
	zcreq_writer_add(w, "%#llx", (number)hold->taken_at);
	if (hold->taken_by)
		zcreq_writer_add(w, " (%.*s)", ZCREQ_FACTS_NAME, hold->taken_by);
}

static void add_waits(struct zcreq_writer *w, unsigned depth,
		      const struct zcreq_request_facts *request)
{
	line(w, depth);
	zcreq_writer_add(w, "waits for ");
	for (uint32_t i = 0; i < request->wait_count; i++)
		zcreq_writer_add(w, "%s%s", i ? ", " : "", request->waits[i]);
	if (request->quarantine_in_ns == ZCREQ_UNKNOWN)
		return;
	zcreq_writer_add(w, " (quarantine in ");
	zcreq_text_duration(w, request->quarantine_in_ns);
	zcreq_writer_add(w, ")");
}

static void add_request(struct zcreq_writer *w, unsigned depth,
			const struct zcreq_request_facts *request)
{
	line(w, depth++);
	zcreq_writer_add(w, "request %#llx: %s", (number)request->handle, request->state);
	add_status(w, request->status);
	add_age(w, request->age_ns);
	for (uint32_t i = 0; i < request->sends_seen; i++)
		add_send(w, depth, &request->sends[i]);
	add_more(w, depth, request->send_count - request->sends_seen, "");
	for (uint32_t i = 0; i < request->holds_seen; i++)
		add_hold(w, depth, &request->holds[i]);
	add_more(w, depth, request->hold_count - request->holds_seen, "");
	add_waits(w, depth, request);
}

static void request_in_words(struct zcreq_writer *w, const struct zcreq_request_facts *facts)
{
	add_request(w, 0, facts);
}

/* ---- a connection ---- */

static const char *peer_words(const struct zcreq_peer_facts *peer)
{
	if (peer->verdict == ZCREQ_STALL_VANISHED)
		return "the peer has vanished";
	if (peer->window_closed)
		return "the peer is there and does not read";
	return peer->retransmits ? "packets are lost, or the peer is away" : "the peer is there";
}

static void add_watchdog(struct zcreq_writer *w, const struct zcreq_peer_facts *peer)
{
	if (peer->look_in_ns == ZCREQ_UNKNOWN) {
		zcreq_writer_add(w, "; no watchdog");
		return;
	}
	zcreq_writer_add(w, peer->verdict == ZCREQ_STALL_VANISHED ? "; abort in "
								  : "; next look in ");
	zcreq_text_duration(w, peer->look_in_ns);
}

static void add_peer(struct zcreq_writer *w, unsigned depth, const struct zcreq_peer_facts *peer)
{
	line(w, depth);
	if (peer->unacked_bytes != ZCREQ_UNKNOWN) {
		add_bytes(w, peer->unacked_bytes);
		zcreq_writer_add(w, " not ACKed, ");
	}
	zcreq_writer_add(w, "%u retransmit%s, ", peer->retransmits, plural(peer->retransmits));
	if (peer->probes)
		zcreq_writer_add(w, "%u probe%s unanswered, ", peer->probes,
				 plural(peer->probes));
	zcreq_writer_add(w, "nothing heard for ");
	zcreq_text_duration(w, peer->quiet_ns);
	zcreq_writer_add(w, ": %s", peer_words(peer));
	add_watchdog(w, peer);
}

static void add_stream(struct zcreq_writer *w, unsigned depth,
		       const struct zcreq_stream_facts *stream)
{
	static const char *const ladder[] = {
		[ZCREQ_LADDER_NONE] = "",
		[ZCREQ_LADDER_WAITING] = ", waits for its turn to be disconnected",
		[ZCREQ_LADDER_REFUSED] = ", the kernel refuses to disconnect",
		[ZCREQ_LADDER_LET_GO] = ", disconnected",
	};

	line(w, depth);
	zcreq_writer_add(w, "%llu bytes unsent, %llu in the kernel in %u batch%s (ids from %u)%s",
			 (number)stream->unsent_bytes, (number)stream->kernel_bytes,
			 stream->batches, stream->batches == 1 ? "" : "es", stream->oldest_id,
			 ladder[stream->ladder]);
	if (stream->detached_bytes)
		zcreq_writer_add(w, ", %llu bytes of these detached: their requests have their "
				 "memory back", (number)stream->detached_bytes);
	if (stream->short_of_memory) {
		line(w, depth);
		zcreq_writer_add(w, "no memory to send with: tried again in a few ms");
	}
	if (stream->peer.verdict)
		add_peer(w, depth, &stream->peer);
}

static void conn_in_words(struct zcreq_writer *w, const struct zcreq_conn_facts *conn)
{
	line(w, 0);
	zcreq_writer_add(w, "connection %u: %s, %u request%s not released", conn->number,
			 conn->state, conn->request_count, plural(conn->request_count));
	add_status(w, conn->status);
	if (conn->cause != ZCREQ_CAUSE_NONE)
		zcreq_writer_add(w, ", cause: %s", zcreq_cause_words(conn->cause));
	if (conn->stream.ladder)
		add_stream(w, 1, &conn->stream);
	for (uint32_t i = 0; i < conn->requests_seen; i++)
		add_request(w, 1, &conn->requests[i]);
	add_more(w, 1, conn->request_count - conn->requests_seen, ", younger");
}

/* ---- a context ---- */

static void context_in_words(struct zcreq_writer *w, const struct zcreq_context_facts *context)
{
	const struct zcreq_stats *stats = &context->stats;

	zcreq_writer_add(w, "%llu connection%s, %llu request%s not released",
			 (number)stats->connections_now, plural(stats->connections_now),
			 (number)stats->requests_now, plural(stats->requests_now));
	if (stats->requests_now) {
		zcreq_writer_add(w, ", the oldest ");
		zcreq_text_duration(w, stats->oldest_age_ns);
		zcreq_writer_add(w, " old");
	}
	zcreq_writer_add(w, "; %llu in quarantine, %llu stale handles refused",
			 (number)stats->quarantined_now, (number)stats->stale_handles);
	for (uint32_t i = 0; i < context->conns_seen; i++)
		conn_in_words(w, &context->conns[i]);
	add_more(w, 0, context->conn_count - context->conns_seen, " connections");
}

const struct zcreq_renderer zcreq_text_renderer = {
	.request = request_in_words,
	.conn = conn_in_words,
	.context = context_in_words,
};
