/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prometheus.c - pages in samples
 *
 * What the library counts is one table: each member of struct zcreq_stats by its name for
 * Prometheus, with a label where several are one thing in different ways. Counters end in
 * _total, units are seconds and bytes. All samples of a name stand together.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "top.h"

struct metric {
	const char *name, *label; /* label: NULL, or more of it */
	size_t place;
	const char *help;         /* NULL: as before, only with another label */
};

#define STAT(member) offsetof(struct zcreq_stats, member)

/* In no_buffers is the sum of the three that are here. */
static const struct metric metrics[] = {
	{"requests", NULL, STAT(requests_now), "Requests begun and not yet released."},
	{"requests_begun_total", NULL, STAT(begun), "Requests begun."},
	{"requests_released_total", NULL, STAT(released), "Requests reported released."},
	{"requests_aborted_total", NULL, STAT(aborted),
	 "Requests aborted, alone or with their connection."},
	{"oldest_request_age_seconds", NULL, STAT(oldest_age_ns),
	 "Age of the oldest request that is not released."},
	{"holds", NULL, STAT(holds_now), "Holds taken and not yet dropped."},
	{"posted_drops_total", NULL, STAT(posted_drops), "Holds dropped by other threads."},
	{"stale_handles_total", NULL, STAT(stale_handles),
	 "Calls refused because a handle was used up or forged."},
	{"quarantined_requests", NULL, STAT(quarantined_now), "Requests in quarantine."},
	{"quarantined_bytes", NULL, STAT(quarantined_bytes_now), "Bytes of sends in quarantine."},
	{"connections", NULL, STAT(connections_now), "Connections not yet closed."},
	{"connections_aborted_total", NULL, STAT(connections_aborted),
	 "Connections that did not end by a drain."},
	{"zerocopy_unsupported_total", NULL, STAT(zerocopy_unsupported),
	 "Connections whose transport refused to send by reference."},
	{"unsent_bytes", NULL, STAT(unsent_bytes_now),
	 "Bytes queued that the kernel has not accepted."},
	{"kernel_bytes", NULL, STAT(kernel_bytes_now), "Bytes accepted that wait for proof."},
	{"batches", NULL, STAT(batches_now), "Accepted calls that wait for proof."},
	{"send_calls_total", NULL, STAT(send_calls), "Calls of sendmsg."},
	{"sent_bytes_total", NULL, STAT(sent_bytes), "Bytes the kernel accepted."},
	{"batches_accepted_total", "way=\"zerocopy\"", STAT(zerocopy_batches),
	 "Calls that the kernel accepted, by what was asked for."},
	{"batches_accepted_total", "way=\"copied\"", STAT(copied_batches), NULL},
	{"notifications_total", NULL, STAT(notifications), "Notification ids taken as proof."},
	{"notifications_copied_total", NULL, STAT(notified_copied),
	 "Notification ids of calls that copied after all."},
	{"notifications_bogus_total", NULL, STAT(bogus_ranges),
	 "Notifications refused: of ids that were never given."},
	{"notifications_duplicate_total", NULL, STAT(duplicate_ids),
	 "Notification ids told again, and ignored."},
	{"foreign_messages_total", NULL, STAT(foreign_messages),
	 "Messages of error queues that are no notifications."},
	{"foreign_messages_lost_total", NULL, STAT(foreign_lost),
	 "Such messages dropped for want of memory."},
	{"no_buffers_total", "lack=\"option\"", STAT(no_buffers_option),
	 "ENOBUFS answers survived, by what was short."},
	{"no_buffers_total", "lack=\"locked\"", STAT(no_buffers_locked), NULL},
	{"no_buffers_total", "lack=\"machine\"", STAT(no_buffers_machine), NULL},
	{"stalls_total", "verdict=\"vanished\"", STAT(stalled_vanished),
	 "Verdicts of the watchdog."},
	{"stalls_total", "verdict=\"not reading\"", STAT(stalled_not_reading), NULL},
	{"stalls_total", "verdict=\"congested\"", STAT(stalled_congested), NULL},
	{"proofs_total", "by=\"notification\"", STAT(proved_notified),
	 "Sends and holds given back, by what proved that nobody reads them."},
	{"proofs_total", "by=\"copy\"", STAT(proved_copied), NULL},
	{"proofs_total", "by=\"unsent\"", STAT(proved_unsent), NULL},
	{"proofs_total", "by=\"caller\"", STAT(proved_caller), NULL},
	{"proofs_total", "by=\"detach\"", STAT(proved_detached), NULL},
	{"detached_bytes", NULL, STAT(detached_bytes_now),
	 "Bytes of detached memory of which the kernel still has the old pages."},
	{"detach_refused_total", NULL, STAT(detach_refused),
	 "Exchanges of pages that could not be made."},
};

/* The same of each connection. */
static const struct metric conn_metrics[] = {
	{"connection_requests", NULL, STAT(requests_now),
	 "Requests of a connection begun and not yet released."},
	{"connection_oldest_request_age_seconds", NULL, STAT(oldest_age_ns),
	 "Age of a connection's oldest request."},
	{"connection_quarantined_requests", NULL, STAT(quarantined_now),
	 "Requests of a connection in quarantine."},
	{"connection_unsent_bytes", NULL, STAT(unsent_bytes_now),
	 "Bytes of a connection that the kernel has not accepted."},
	{"connection_kernel_bytes", NULL, STAT(kernel_bytes_now),
	 "Bytes of a connection that wait for proof."},
	{"connection_sent_bytes_total", NULL, STAT(sent_bytes),
	 "Bytes of a connection the kernel accepted."},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void head(FILE *out, const char *name, const char *help)
{
	size_t len = strlen(name);
	bool counter = len > 6 && strcmp(name + len - 6, "_total") == 0;

	fprintf(out, "# HELP zcreq_%s %s\n# TYPE zcreq_%s %s\n", name, help, name,
		counter ? "counter" : "gauge");
}

static void label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			putc('\\', out);
		putc(*value, out);
	}
	putc('"', out);
}

/* A sample up to its value: of a page, or of one of its connections. */
static void sample(FILE *out, const char *name, const struct pages *pages, struct place place,
		   const char *more)
{
	fprintf(out, "zcreq_%s{", name);
	label(out, "name", pages->list[place.page].head.name);
	fprintf(out, ",page=\"%zu\"", place.page);
	if (place.conn) {
		fprintf(out, ",connection=\"%" PRIu32 "\",", place.conn->number);
		label(out, "peer", place.conn->name);
	}
	fprintf(out, "%s%s} ", more ? "," : "", more ? more : "");
}

static void seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void stat_value(FILE *out, const struct metric *metric, const struct zcreq_stats *stats)
{
	uint64_t value;

	memcpy(&value, (const char *)stats + metric->place, sizeof(value));
	if (metric->place == STAT(oldest_age_ns))
		seconds(out, value);
	else
		fprintf(out, "%" PRIu64 "\n", value);
}

/* ---- what there is beside statistics ---- */

static void show_up(FILE *out, const struct pages *pages, uint64_t now)
{
	char text[WORDS];

	head(out, "up", "1 if the program writes its page, 0 if it has stopped to, or is gone.");
	for (size_t i = 0; i < pages->count; i++) {
		sample(out, "up", pages, (struct place){i, NULL}, NULL);
		fprintf(out, "%d\n", page_trouble(&pages->list[i].head, now, text) == NULL);
	}
	head(out, "page_age_seconds", "How long ago the page was written.");
	for (size_t i = 0; i < pages->count; i++) {
		sample(out, "page_age_seconds", pages, (struct place){i, NULL}, NULL);
		seconds(out, since_ns(pages->list[i].head.written_ns, now));
	}
	head(out, "connections_ended_total",
	     "Connections that ended otherwise than by a drain, or by being freed.");
	for (size_t i = 0; i < pages->count; i++) {
		sample(out, "connections_ended_total", pages, (struct place){i, NULL}, NULL);
		fprintf(out, "%" PRIu64 "\n", pages->list[i].head.ended_count);
	}
}

static void show_stats(FILE *out, const struct pages *pages)
{
	for (size_t m = 0; m < COUNT(metrics); m++) {
		const struct metric *metric = &metrics[m];

		if (metric->help)
			head(out, metric->name, metric->help);
		for (size_t i = 0; i < pages->count; i++) {
			sample(out, metric->name, pages, (struct place){i, NULL}, metric->label);
			stat_value(out, metric, &pages->list[i].head.stats);
		}
	}
}

/* ---- connections ---- */

static void show_conn_states(FILE *out, const struct pages *pages)
{
	char more[WORDS];

	head(out, "connection_info", "1; how a connection is, and its peer.");
	for (size_t i = 0; i < pages->conn_count; i++) {
		snprintf(more, sizeof(more), "state=\"%s\",verdict=\"%s\"",
			 state_name(pages->conns[i].conn->state),
			 verdict_name(pages->conns[i].conn->verdict));
		sample(out, "connection_info", pages, pages->conns[i], more);
		fprintf(out, "1\n");
	}
	head(out, "connection_silence_seconds",
	     "For how long nothing was heard of a peer that owes an answer.");
	for (size_t i = 0; i < pages->conn_count; i++) {
		sample(out, "connection_silence_seconds", pages, pages->conns[i], NULL);
		seconds(out, pages->conns[i].conn->quiet_ns);
	}
}

static void show_conn_stats(FILE *out, const struct pages *pages)
{
	for (size_t m = 0; m < COUNT(conn_metrics); m++) {
		const struct metric *metric = &conn_metrics[m];

		head(out, metric->name, metric->help);
		for (size_t i = 0; i < pages->conn_count; i++) {
			sample(out, metric->name, pages, pages->conns[i], NULL);
			stat_value(out, metric, &pages->conns[i].conn->stats);
		}
	}
}

void prometheus_show(FILE *out, const struct pages *pages, uint64_t now)
{
	show_up(out, pages, now);
	show_stats(out, pages);
	show_conn_states(out, pages);
	show_conn_stats(out, pages);
}
