/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - what was counted, and what is worked out when somebody asks
 *
 * A connection counts what happens on it, in its own struct zcreq_stats, where no
 * other number can say it. The rest comes from what is there anyway: requests that
 * were released are those that began and are not on the list any more, bytes in the
 * kernel are the queue's. A context is the sum of its connections and of what those
 * that are gone have left.
 */
#include <errno.h>
#include <string.h>

#include "core/core.h"

/* Every member is a number of the same kind, and all but the age add up. */
static void add(struct zcreq_stats *to, const struct zcreq_stats *from)
{
	const uint64_t *more = (const uint64_t *)from;
	uint64_t *sum = (uint64_t *)to;
	uint64_t oldest_age_ns = to->oldest_age_ns;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*sum); i++)
		sum[i] += more[i];
	to->oldest_age_ns = from->oldest_age_ns > oldest_age_ns ? from->oldest_age_ns
								: oldest_age_ns;
}

struct zcreq_stats zcreq_conn_look_stats(const struct zcreq_conn *conn)
{
	const struct zcreq_request *oldest = TAILQ_FIRST(&conn->requests);
	struct zcreq_stats stats = conn->stats;

	stats.requests_now = conn->request_count;
	stats.released = stats.begun - conn->request_count;
	stats.connections_aborted = conn->status != 0;
	stats.no_buffers =
		stats.no_buffers_option + stats.no_buffers_locked + stats.no_buffers_machine;
	if (oldest)
		stats.oldest_age_ns = zcreq_age_ns(conn->context, oldest->slot.since);
	conn->transport->stats(conn, &stats);
	return stats;
}

void zcreq_stats_keep(const struct zcreq_conn *conn)
{
	const struct zcreq_stats stats = zcreq_conn_look_stats(conn);

	add(&conn->context->stats, &stats);
}

struct zcreq_stats zcreq_context_look_stats(const struct zcreq_context *context)
{
	struct zcreq_stats sum = context->stats;
	const struct zcreq_conn *conn;

	TAILQ_FOREACH(conn, &context->conns, in_context) {
		const struct zcreq_stats more = zcreq_conn_look_stats(conn);

		add(&sum, &more);
	}
	if (context->threads)
		sum.stale_handles += zcreq_threads_stale(context->threads);
	return sum;
}

/* As much as both sides know; what only the caller knows is 0. */
static void copy_out(struct zcreq_stats *to, size_t size, const struct zcreq_stats *from)
{
	const size_t known = size < sizeof(*from) ? size : sizeof(*from);

	memcpy(to, from, known);
	memset((char *)to + known, 0, size - known);
}

int zcreq_conn_stats(const struct zcreq_conn *conn, struct zcreq_stats *stats, size_t size)
{
	struct zcreq_stats seen;

	if (!conn || !stats || !size)
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_LOOKS);
	seen = zcreq_conn_look_stats(conn);
	copy_out(stats, size, &seen);
	return 0;
}

int zcreq_context_stats(const struct zcreq_context *context, struct zcreq_stats *stats,
			size_t size)
{
	struct zcreq_stats sum;

	if (!context || !stats || !size)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_LOOKS);
	sum = zcreq_context_look_stats(context);
	copy_out(stats, size, &sum);
	return 0;
}
