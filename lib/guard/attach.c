/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach.c - a context gets its guard: by options, or as the environment asks
 *
 * The one file that reads the environment, and only when the program has called for
 * that. What a process cannot have (its own memory read by the kernel, the list of its
 * mappings) is found out here, and not at the first send.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/version.h>

#include "base/options.h"
#include "core/guarded.h"
#include "guard/checksum.h"
#include "guard/guard.h"
#include "guard/pages.h"

#define FLAGS (ZCREQ_GUARD_PROTECT | ZCREQ_GUARD_CONTINUE)

static const struct {
	const char *name;
	unsigned flags;
} words[] = {
	{"checksum", 0},
	{"protect", ZCREQ_GUARD_PROTECT},
	{"continue", ZCREQ_GUARD_CONTINUE},
};

#define WORDS (sizeof(words) / sizeof(words[0]))

/* The words of ZCREQ_GUARD: true if they ask for a guard. */
static bool ask_environment(struct zcreq_guard_options *options)
{
	const char *word = secure_getenv("ZCREQ_GUARD");
	bool asked = word && *word;

	while (word && *word) {
		size_t len = strcspn(word, ","), i = 0;

		while (i < WORDS &&
		       (strlen(words[i].name) != len || strncmp(words[i].name, word, len)))
			i++;
		if (i == WORDS) {
			dprintf(STDERR_FILENO, "zcreq guard: ZCREQ_GUARD: what is \"%.*s\"?\n",
				(int)len, word);
			return false;
		}
		options->flags |= words[i].flags;
		word += len + (word[len] == ',');
	}
	return asked;
}

/* Whatever of the process protected pages take. */
static int start_protecting(void)
{
	zcreq_guard_prepare_backtrace();
	return zcreq_guard_pages_start();
}

static int make(const struct zcreq_allocator *allocator, const void *how, void **out)
{
	const struct zcreq_guard_options *options = how;
	int ret = zcreq_checksum_possible();
	struct zcreq_guard *guard;

	if (ret)
		return ret;
	guard = zcreq_calloc(allocator, 1, sizeof(*guard));
	if (!guard)
		return -ENOMEM;
	guard->allocator = allocator;
	guard->options = *options;
	zcreq_slots_init(&guard->sends, allocator, ZCREQ_SLOT_HOLD, ZCREQ_MAX_REQUESTS, 0);
	TAILQ_INIT(&guard->freed);
	guard->exchange = zcreq_guard_exchange_new();
	ret = guard->exchange ? 0 : -ENOMEM;
	if (!ret && zcreq_guard_protects(guard))
		ret = start_protecting();
	if (ret) {
		if (guard->exchange)
			zcreq_guard_exchange_free(guard->exchange);
		zcreq_free(allocator, guard);
		return ret;
	}
	*out = guard;
	return 0;
}

static void free_guard(void *of)
{
	struct zcreq_guard *guard = of;

	if (zcreq_guard_protects(guard))
		zcreq_guard_pages_stop();
	zcreq_slots_deinit(&guard->sends);
	zcreq_guard_forget(guard);
	zcreq_guard_exchange_free(guard->exchange);
	zcreq_free(guard->allocator, guard);
}

static const struct zcreq_guard_hooks hooks = {
	.make = make,
	.free = free_guard,
	.send = zcreq_guard_send,
	.send_gone = zcreq_guard_send_gone,
	.open = zcreq_guard_open,
	.look = zcreq_guard_look,
	.close = zcreq_guard_close,
	.call = zcreq_guard_call,
	.freed = zcreq_guard_freed,
	.keep = zcreq_guard_keep,
	.page_copied = zcreq_guard_page_copied,
	.pages_exchanged = zcreq_guard_pages_exchanged,
};

int zcreq_guard_attach(struct zcreq_context *context, const struct zcreq_guard_options *options)
{
	struct zcreq_guard_options o = {.size = sizeof(o)};
	int ret = 0;

	if (!context)
		return -EINVAL;
	if (options)
		ret = zcreq_options_copy(&o, options, sizeof(o), FLAGS);
	else if (!ask_environment(&o))
		return 0;
	return ret ? ret : zcreq_guard_set(context, ZCREQ_VERSION, &hooks, &o);
}

void zcreq_guard_adopt(struct zcreq_context *context)
{
	struct zcreq_guard *guard = context ? zcreq_guard_of(context) : NULL;

	if (guard)
		zcreq_guard_own(guard);
}
