/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * places.c - the connections of all pages in one order
 */
#include <stdlib.h>

#include "top.h"

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Those of the same age as they are numbered. */
static int by_number(const struct place *a, const struct place *b)
{
	return a->page != b->page ? compare(a->page, b->page)
				  : compare(a->conn->number, b->conn->number);
}

static int oldest_first(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = compare(b->conn->stats.oldest_age_ns, a->conn->stats.oldest_age_ns);

	return order ? order : by_number(a, b);
}

static int latest_first(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = compare(b->conn->ended_ns, a->conn->ended_ns);

	return order ? order : by_number(a, b);
}

bool places_make(struct pages *pages)
{
	size_t conns = 0, ended = 0;

	for (size_t i = 0; i < pages->count; i++) {
		conns += pages->list[i].head.conns_seen;
		ended += pages->list[i].head.ended_seen;
	}
	pages->conns = calloc(conns + 1, sizeof(*pages->conns));
	pages->ended = calloc(ended + 1, sizeof(*pages->ended));
	if (!pages->conns || !pages->ended)
		return false;
	for (size_t i = 0; i < pages->count; i++) {
		const struct zcreq_page *head = &pages->list[i].head;

		for (uint32_t n = 0; n < head->conns_seen; n++)
			pages->conns[pages->conn_count++] =
				(struct place){i, &pages->list[i].conns[n]};
		for (uint32_t n = 0; n < head->ended_seen; n++)
			pages->ended[pages->ended_count++] = (struct place){i, &head->ended[n]};
	}
	qsort(pages->conns, conns, sizeof(*pages->conns), oldest_first);
	qsort(pages->ended, ended, sizeof(*pages->ended), latest_first);
	return true;
}
