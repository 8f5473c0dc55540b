/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page.c - a context keeps a page: from when to when, how often, and how it is written
 *
 * Readers are other processes, and take no lock: a sequence in the page is odd while the rest
 * of it is being written (struct zcreq_page). Every word is stored with release and loaded
 * with acquire, so who has loaded one that is new sees a sequence that is at least as new,
 * and knows. No word is wider than 32 bits: that is atomic everywhere.
 */
#include "explain/page.h"

#include <string.h>

#include "stream/stream.h"

#define WORD sizeof(uint32_t)
#define SEQUENCE (offsetof(struct zcreq_page, sequence) / WORD)

/* The image becomes what others read. */
static void publish(struct zcreq_page_keeper *keeper)
{
	const size_t words = zcreq_page_bytes(keeper->image->conns_seen) / WORD;
	const char *from = (const char *)keeper->image;
	uint32_t *to = keeper->shared;

	__atomic_store_n(&to[SEQUENCE], keeper->sequence + 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < words; i++) {
		uint32_t word;

		if (i == SEQUENCE)
			continue;
		memcpy(&word, from + i * WORD, WORD);
		__atomic_store_n(&to[i], word, __ATOMIC_RELEASE);
	}
	keeper->sequence += 2;
	__atomic_store_n(&to[SEQUENCE], keeper->sequence, __ATOMIC_RELEASE);
}

static void write_page(struct zcreq_page_keeper *keeper)
{
	zcreq_page_look(keeper);
	publish(keeper);
}

/* ---- what core calls ---- */

static uint64_t keeper_timers(struct zcreq_keeper *keeper, uint64_t now_ns)
{
	struct zcreq_page_keeper *page = (struct zcreq_page_keeper *)keeper;

	if (now_ns >= page->due_ns) {
		write_page(page);
		page->due_ns = now_ns + page->interval_ns;
	}
	return page->due_ns;
}

static void keeper_closed(struct zcreq_keeper *keeper, const struct zcreq_conn *conn)
{
	zcreq_page_note_end((struct zcreq_page_keeper *)keeper, conn);
}

static void keeper_free(struct zcreq_keeper *keeper)
{
	struct zcreq_page_keeper *page = (struct zcreq_page_keeper *)keeper;

	page->image->state = ZCREQ_PAGE_STOPPED;
	write_page(page);
	zcreq_free(&keeper->context->allocator, page);
}

static const struct zcreq_keeper_ops keeper_ops = {
	.timers = keeper_timers,
	.closed = keeper_closed,
	.free = keeper_free,
};

/* ---- from when to when ---- */

/* The keeper and everything of its own in one piece of memory. */
static struct zcreq_page_keeper *make(struct zcreq_context *context,
				      const struct zcreq_page_options *o)
{
	const uint32_t capacity = (uint32_t)((o->memory_bytes - sizeof(struct zcreq_page)) /
					     sizeof(struct zcreq_page_conn));
	const size_t image_bytes = zcreq_page_bytes(capacity);
	const size_t before_bytes = capacity * sizeof(struct zcreq_page_conn);
	const size_t oldest_bytes = capacity * sizeof(const struct zcreq_conn *);
	const uint32_t places = zcreq_page_places(capacity);
	struct zcreq_page_keeper *keeper =
		zcreq_calloc(&context->allocator, 1,
			     sizeof(*keeper) + image_bytes + before_bytes + oldest_bytes +
				     2 * places * sizeof(*keeper->places));
	char *more = (char *)(keeper + 1);

	if (!keeper)
		return NULL;
	keeper->keeper = (struct zcreq_keeper){.ops = &keeper_ops, .context = context};
	keeper->interval_ns = o->interval_ms * ZCREQ_MS;
	keeper->due_ns = context->now_ns + keeper->interval_ns;
	keeper->shared = o->memory;
	keeper->sequence = __atomic_load_n(&keeper->shared[SEQUENCE], __ATOMIC_RELAXED) & ~1u;
	keeper->capacity = capacity;
	keeper->image = (struct zcreq_page *)(void *)more;
	keeper->before = (struct zcreq_page_conn *)(void *)(more + image_bytes);
	more += image_bytes + before_bytes;
	keeper->oldest = (const struct zcreq_conn **)(void *)more;
	keeper->places = (uint32_t *)(void *)(more + oldest_bytes);
	keeper->places_before = keeper->places + places;
	keeper->places_mask = places - 1;
	*keeper->image = (struct zcreq_page){
		.magic = ZCREQ_PAGE_MAGIC,
		.byte_order = ZCREQ_PAGE_BYTE_ORDER,
		.version = ZCREQ_PAGE_VERSION,
		.page_bytes = (uint32_t)o->memory_bytes,
		.state = ZCREQ_PAGE_KEPT,
		.interval_ms = o->interval_ms,
		.started_ns = zcreq_page_now_ns(),
	};
	if (o->name)
		strncpy(keeper->image->name, o->name, ZCREQ_PAGE_NAME - 1);
	return keeper;
}

int zcreq_page_keep(struct zcreq_context *context, const struct zcreq_page_options *options)
{
	struct zcreq_page_keeper *keeper;
	struct zcreq_page_options o;
	int ret;

	if (!context || !options)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	ret = zcreq_options_copy(&o, options, sizeof(o), 0);
	if (ret)
		return ret;
	if (!o.interval_ms)
		o.interval_ms = ZCREQ_PAGE_INTERVAL_MS;
	if (!o.memory || (uintptr_t)o.memory % 8 || o.memory_bytes % 8 ||
	    o.memory_bytes < zcreq_page_bytes(0) || o.memory_bytes > ZCREQ_PAGE_BYTES_MOST ||
	    o.interval_ms > ZCREQ_PAGE_INTERVAL_MOST_MS)
		return -EINVAL;
	if (context->keeper)
		return -EALREADY;
	keeper = make(context, &o);
	if (!keeper)
		return -ENOMEM;
	context->keeper = &keeper->keeper;
	if (keeper->due_ns < context->next_alarm_ns)
		context->next_alarm_ns = keeper->due_ns;
	write_page(keeper);
	return 0;
}

int zcreq_page_stop(struct zcreq_context *context)
{
	if (!context)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	if (!context->keeper)
		return -ENOENT;
	context->keeper->ops->free(context->keeper);
	context->keeper = NULL;
	return 0;
}
