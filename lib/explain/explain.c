/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - in words, what requests, connections and contexts wait for
 *
 * Looks, and changes nothing. What a stream knows beyond this (the parts of a send,
 * what the kernel says of the peer) comes from the transport: see explain_stream.c.
 * How much is told is limited everywhere, the oldest first, and the rest is counted.
 */
#include "explain/explain.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* With these the longest possible text is less than ZCREQ_EXPLAIN_MAX. */
#define CONNS_MOST 8
#define REQUESTS_OF_CONN 16
#define REQUESTS_OF_CONTEXT 4
#define HOLDS_MOST 4
#define NAME_MOST 40

static const char *const state_names[] = {
	[ZCREQ_STATE_OPEN] = "open",
	[ZCREQ_STATE_FINISHED] = "finished",
	[ZCREQ_STATE_ABORTING] = "aborting",
	[ZCREQ_STATE_ABORTED_FINISHED] = "aborted-finished",
	[ZCREQ_STATE_QUARANTINED] = "quarantined",
	[ZCREQ_STATE_DONE] = "done",
};

static const char *const conn_state_names[] = {
	[ZCREQ_CONN_OPEN] = "open",
	[ZCREQ_CONN_DRAINING] = "draining",
	[ZCREQ_CONN_ABORTING] = "aborting",
	[ZCREQ_CONN_QUARANTINED] = "quarantined",
	[ZCREQ_CONN_CLOSED] = "closed",
};

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

void zcreq_explain_age(struct zcreq_text *t, const struct zcreq_context *context, uint32_t since)
{
	if (!context->now_ns) {
		zcreq_text_add(t, zcreq_text_is_json(t) ? ",\"age_ms\":null"
							: ", of unknown age (no tick yet)");
		return;
	}
	zcreq_text_add(t, zcreq_text_is_json(t) ? ",\"age_ms\":" : ", ");
	zcreq_text_duration(t, zcreq_age_ns(context, since));
	zcreq_text_add(t, zcreq_text_is_json(t) ? "" : " old");
}

static void add_status(struct zcreq_text *t, int status)
{
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"status\":%d", status);
	else if (status)
		zcreq_text_add(t, ", status %d (%s)", status, strerror(-status));
}

/* ---- a request ---- */

/* Where a hold was taken: "program+0x1234 (function)", for addr2line. */
static void add_taker(struct zcreq_text *t, const void *taker)
{
	char file[NAME_MOST + 1];
	const char *slash;
	Dl_info info;

	if (!dladdr(taker, &info)) {
		zcreq_text_add(t, zcreq_text_is_json(t) ? ",\"taken_at\":\"%p\"" : ", taken at %p",
			       taker);
		return;
	}
	slash = strrchr(info.dli_fname, '/');
	snprintf(file, sizeof(file), "%s", slash ? slash + 1 : info.dli_fname);
	zcreq_text_add(t, zcreq_text_is_json(t) ? ",\"taken_in\":" : ", taken at ");
	if (zcreq_text_is_json(t))
		zcreq_text_string(t, file);
	else
		zcreq_text_add(t, "%s", file);
	zcreq_text_add(t, zcreq_text_is_json(t) ? ",\"taken_at\":\"%#llx\"" : "+%#llx",
		       (unsigned long long)((const char *)taker - (const char *)info.dli_fbase));
	if (info.dli_sname && !zcreq_text_is_json(t))
		zcreq_text_add(t, " (%.*s)", NAME_MOST, info.dli_sname);
}

/* The holds of a request: the table of all is gone through, since nobody keeps lists. */
static void explain_holds(struct zcreq_text *t, const struct zcreq_request *request)
{
	const struct zcreq_context *context = request->conn->context;
	unsigned told = 0;

	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"hold_count\":%u,\"holds\":[", request->holds);
	for (uint32_t i = 0; i < context->holds.made && told < request->holds; i++) {
		const struct zcreq_hold_slot *hold = (const struct zcreq_hold_slot *)zcreq_slots_at(
			&context->holds, i, sizeof(*hold));

		if (!zcreq_slot_in_use(&hold->slot) || hold->request != request)
			continue;
		if (told == HOLDS_MOST)
			break;
		zcreq_text_line(t, "hold of the caller");
		if (zcreq_text_is_json(t))
			zcreq_text_add(t, "%s{\"hold\":\"%#llx\"", told ? "," : "",
				       (unsigned long long)zcreq_slot_bits(&hold->slot));
		zcreq_explain_age(t, context, hold->slot.since);
		add_taker(t, hold->taker);
		zcreq_text_add(t, zcreq_text_is_json(t) ? "}" : "");
		told++;
	}
	if (told < request->holds)
		zcreq_text_line(t, "and %u more", request->holds - told);
	zcreq_text_add(t, zcreq_text_is_json(t) ? "]" : "");
}

/* What would release it: each of these has to come. */
static void explain_waits(struct zcreq_text *t, const struct zcreq_request *request)
{
	t->items = 0;
	zcreq_text_line(t, "waits for ");
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"waits_for\":[");
	if (request->state == ZCREQ_STATE_DONE)
		zcreq_text_item(t, "zcreq_dispatch()");
	if (request->state == ZCREQ_STATE_OPEN || request->state == ZCREQ_STATE_ABORTING)
		zcreq_text_item(t, "its owner's zcreq_finish()");
	if (request->holds)
		zcreq_text_item(t, "the caller's zcreq_drop()");
	if (request->sends)
		request->conn->transport->explain_waits(request, t);
	zcreq_text_add(t, zcreq_text_is_json(t) ? "]" : "");
}

static void explain_request(struct zcreq_text *t, const struct zcreq_request *request)
{
	unsigned long long bits = request->slot.bits;

	zcreq_text_line(t, "request %#llx: %s", bits, state_names[request->state]);
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, "{\"request\":\"%#llx\",\"connection\":%u,\"state\":\"%s\"", bits,
			       request->conn->number, state_names[request->state]);
	add_status(t, request->status);
	zcreq_explain_age(t, request->conn->context, request->slot.since);
	t->indent++;
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"send_count\":%u,\"send_bytes\":%llu,\"sends\":[",
			       request->sends, (unsigned long long)request->send_bytes);
	if (request->sends)
		request->conn->transport->explain_sends(request, t);
	zcreq_text_add(t, zcreq_text_is_json(t) ? "]" : "");
	explain_holds(t, request);
	explain_waits(t, request);
	t->indent--;
	zcreq_text_add(t, zcreq_text_is_json(t) ? "}" : "");
}

/* ---- a connection ---- */

static void explain_conn(struct zcreq_text *t, const struct zcreq_conn *conn, unsigned most)
{
	const struct zcreq_request *request;
	unsigned told = 0;

	zcreq_text_line(t, "connection %u: %s, %u request%s not released", conn->number,
			conn_state_names[conn->state], conn->request_count,
			plural(conn->request_count));
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, "{\"connection\":%u,\"state\":\"%s\",\"request_count\":%u",
			       conn->number, conn_state_names[conn->state], conn->request_count);
	add_status(t, conn->status);
	t->indent++;
	conn->transport->explain(conn, t);
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"requests\":[");
	TAILQ_FOREACH(request, &conn->requests, in_conn) {
		if (told == most)
			break;
		zcreq_text_add(t, zcreq_text_is_json(t) && told ? "," : "");
		explain_request(t, request);
		told++;
	}
	if (told < conn->request_count)
		zcreq_text_line(t, "and %u more, younger", conn->request_count - told);
	t->indent--;
	zcreq_text_add(t, zcreq_text_is_json(t) ? "]}" : "");
}

/* ---- a context ---- */

/* Those with the oldest request first; without one they come last. */
static bool is_older(const struct zcreq_conn *a, const struct zcreq_conn *b)
{
	const struct zcreq_request *first = TAILQ_FIRST(&a->requests);
	const struct zcreq_request *second = TAILQ_FIRST(&b->requests);
	uint32_t now = a->context->now;

	if (!first || !second)
		return first != NULL;
	return now - first->slot.since > now - second->slot.since;
}

/* Puts it in its place among the oldest so far. */
static unsigned insert(const struct zcreq_conn *oldest[CONNS_MOST], unsigned count,
		       const struct zcreq_conn *conn)
{
	unsigned at = count;

	while (at && is_older(conn, oldest[at - 1]))
		at--;
	if (at == CONNS_MOST)
		return count;
	count += count < CONNS_MOST;
	for (unsigned i = count - 1; i > at; i--)
		oldest[i] = oldest[i - 1];
	oldest[at] = conn;
	return count;
}

static void explain_totals(struct zcreq_text *t, const struct zcreq_stats *stats)
{
	const struct {
		const char *name;
		uint64_t value;
	} totals[] = {
		{"connections", stats->connections_now},
		{"requests", stats->requests_now},
		{"holds", stats->holds_now},
		{"quarantined", stats->quarantined_now},
		{"stale_handles", stats->stale_handles},
		{"begun", stats->begun},
		{"released", stats->released},
		{"aborted", stats->aborted},
		{"unsent_bytes", stats->unsent_bytes_now},
		{"kernel_bytes", stats->kernel_bytes_now},
	};

	if (zcreq_text_is_json(t)) {
		for (unsigned i = 0; i < sizeof(totals) / sizeof(*totals); i++)
			zcreq_text_add(t, "%c\"%s\":%llu", i ? ',' : '{', totals[i].name,
				       (unsigned long long)totals[i].value);
		return;
	}
	zcreq_text_line(t, "%llu connection%s, %llu request%s not released",
			(unsigned long long)stats->connections_now, plural(stats->connections_now),
			(unsigned long long)stats->requests_now, plural(stats->requests_now));
	if (stats->requests_now) {
		zcreq_text_add(t, ", the oldest ");
		zcreq_text_duration(t, stats->oldest_age_ns);
		zcreq_text_add(t, " old");
	}
	zcreq_text_add(t, "; %llu in quarantine, %llu stale handles refused",
		       (unsigned long long)stats->quarantined_now,
		       (unsigned long long)stats->stale_handles);
}

static void explain_context(struct zcreq_text *t, const struct zcreq_context *context)
{
	const struct zcreq_conn *oldest[CONNS_MOST], *conn;
	unsigned count = 0, all = 0;
	struct zcreq_stats stats;
	int ret = zcreq_context_stats(context, &stats, sizeof(stats));

	zcreq_assert(ret == 0);
	explain_totals(t, &stats);
	TAILQ_FOREACH(conn, &context->conns, in_context) {
		if (conn->state == ZCREQ_CONN_CLOSED)
			continue;
		count = insert(oldest, count, conn);
		all++;
	}
	if (zcreq_text_is_json(t))
		zcreq_text_add(t, ",\"oldest_age_ms\":%llu,\"oldest_connections\":[",
			       (unsigned long long)(stats.oldest_age_ns / 1000000));
	for (unsigned i = 0; i < count; i++) {
		zcreq_text_add(t, zcreq_text_is_json(t) && i ? "," : "");
		explain_conn(t, oldest[i], REQUESTS_OF_CONTEXT);
	}
	if (count < all)
		zcreq_text_line(t, "and %u more connections", all - count);
	zcreq_text_add(t, zcreq_text_is_json(t) ? "]}" : "");
}

/* ---- who asks ---- */

static bool good(enum zcreq_format format, const char *text, size_t size)
{
	return (format == ZCREQ_TEXT || format == ZCREQ_JSON) && (text || !size);
}

int zcreq_request_explain(const struct zcreq_context *context, zcreq_id id,
			  enum zcreq_format format, char *text, size_t size)
{
	struct zcreq_text t = {.text = text, .size = size, .format = format};
	const struct zcreq_slot *slot;

	if (!context || !good(format, text, size))
		return -EINVAL;
	slot = zcreq_slots_find(&context->requests, id.bits, sizeof(struct zcreq_request));
	if (!slot)
		return -ESTALE;
	explain_request(&t, (const struct zcreq_request *)slot);
	return zcreq_text_end(&t);
}

int zcreq_conn_explain(const struct zcreq_conn *conn, enum zcreq_format format, char *text,
		       size_t size)
{
	struct zcreq_text t = {.text = text, .size = size, .format = format};

	if (!conn || !good(format, text, size))
		return -EINVAL;
	explain_conn(&t, conn, REQUESTS_OF_CONN);
	return zcreq_text_end(&t);
}

int zcreq_context_explain(const struct zcreq_context *context, enum zcreq_format format,
			  char *text, size_t size)
{
	struct zcreq_text t = {.text = text, .size = size, .format = format};

	if (!context || !good(format, text, size))
		return -EINVAL;
	explain_context(&t, context);
	return zcreq_text_end(&t);
}
