/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/counting.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "stream/check.h"
#include "support/seeded.h"
#include "support/suite.h"

/* in front of each block, so that it can be spoilt when it is freed */
struct header {
	_Alignas(16) size_t bytes;
};

static void *count_calloc(size_t count, size_t size, void *arg)
{
	struct counting *counting = arg;
	struct header *header = NULL;

	CLAIM(count <= SIZE_MAX / 2 / size);
	if (++counting->calls != counting->fail_at && !counting->exhausted)
		header = calloc(1, sizeof(*header) + count * size);
	if (!header) {
		counting->failed++;
		return NULL;
	}
	header->bytes = count * size;
	counting->live++;
	return header + 1;
}

static void count_free(void *memory, void *arg)
{
	struct counting *counting = arg;
	struct header *header;

	CLAIM(memory != NULL);
	counting->live--;
	header = (struct header *)memory - 1;
	memset(memory, 0xdd, header->bytes);
	free(header);
}

void counting_init(struct counting *counting)
{
	*counting = (struct counting){
		.allocator = {.calloc = count_calloc, .free = count_free, .arg = counting},
	};
}

struct zcreq_context *counting_context(struct counting *counting, uint32_t max_requests)
{
	const struct zcreq_context_options options = {
		.size = sizeof(options),
		.allocator = &counting->allocator,
		.max_requests = max_requests,
	};
	struct zcreq_context *context = NULL;

	counting_init(counting);
	ck_assert_int_eq(zcreq_context_new(&options, &context), 0);
	ck_assert_ptr_nonnull(context);
	seed_handles(context, 1);
	return context;
}

void counting_end(struct counting *counting, struct zcreq_context *context)
{
	ck_assert_int_eq(zcreq_context_free(context), 0);
	ck_assert_int_eq(counting->live, 0);
}

struct zcreq_stats stats_of(const struct zcreq_context *context)
{
	struct zcreq_stats stats;

	zcreq_context_check(context);
	zcreq_streams_check(context);
	CLAIM(zcreq_context_stats(context, &stats, sizeof(stats)) == 0);
	return stats;
}
