/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_ids.c - batches pushed, and ranges of ids that prove them, in any order
 *
 * The model counts ids in 64 bits from the first one on and has a byte for each: no
 * wrap, no fifo, no oldest. An input begins with the first id, so that the circle of
 * 32 bits is closed wherever the fuzzer likes.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "stream/ids.h"

#define MODEL_IDS 4096

struct input {
	const uint8_t *bytes;
	size_t left;
};

/* ids are counted from the first; [0, oldest) all proven, [oldest, next) some */
struct model {
	uint32_t first_id;
	uint32_t oldest, next, pending;
	bool proven[MODEL_IDS];
	bool no_memory;
	long blocks;
};

static uint32_t take(struct input *input, unsigned count)
{
	uint32_t number = 0;

	for (; count && input->left; count--, input->left--)
		number = number << 8 | *input->bytes++;
	return number;
}

static void *model_calloc(size_t count, size_t size, void *arg)
{
	struct model *model = arg;

	if (model->no_memory)
		return NULL;
	model->blocks++;
	return calloc(count, size);
}

static void model_free(void *memory, void *arg)
{
	((struct model *)arg)->blocks--;
	free(memory);
}

static void push(struct zcreq_ids *ids, struct model *model, const struct zcreq_allocator *a)
{
	int ret;

	if (model->next == MODEL_IDS)
		return;
	ret = zcreq_ids_reserve(ids, a);
	must(ret == 0 || (ret == -ENOMEM && model->no_memory), "a place, or no memory");
	if (ret)
		return;
	must(ids->next == model->first_id + model->next, "ids count up");
	zcreq_ids_push(ids, model->next * 2, model->next * 2 + 1);
	model->next++;
	model->pending++;
}

/* Are lo..hi, as the circle has them, all in flight or between what is? */
static bool model_knows(const struct model *model, uint32_t lo, uint32_t hi)
{
	uint64_t at = (uint32_t)(lo - model->first_id), ids = (uint64_t)(uint32_t)(hi - lo) + 1;

	return at >= model->oldest && at + ids <= model->next;
}

static void prove_id(struct zcreq_ids *ids, struct model *model, uint32_t id)
{
	struct zcreq_batch *batch = zcreq_ids_prove(ids, id);
	uint32_t at = id - model->first_id;

	must(!batch == model->proven[at], "proof counts once");
	if (!batch)
		return;
	must(batch->first_send == at * 2 && batch->last_send == at * 2 + 1, "of this batch");
	model->proven[at] = true;
	model->pending--;
	while (model->oldest < model->next && model->proven[model->oldest])
		model->oldest++;
}

static void prove(struct zcreq_ids *ids, struct model *model, uint32_t lo, uint32_t hi)
{
	bool known = zcreq_ids_knows(ids, lo, hi);
	uint32_t id = lo;

	must(known == model_knows(model, lo, hi), "a range is known wholly or not at all");
	if (!known)
		return;
	/* as its user does: the oldest may move past ids that are still to come */
	do {
		prove_id(ids, model, id);
	} while (id++ != hi);
}

static void step(struct zcreq_ids *ids, struct model *model, const struct zcreq_allocator *a,
		 struct input *input)
{
	uint32_t lo, pick = take(input, 1), count;

	switch (pick % 8) {
	case 0:
		model->no_memory = !model->no_memory;
		break;
	case 1:
	case 2:
		for (count = pick / 8 + 1; count; count--)
			push(ids, model, a);
		break;
	case 3: /* anything */
		lo = take(input, 4);
		prove(ids, model, lo, take(input, 4));
		break;
	default: /* about what is in flight */
		lo = model->first_id + model->oldest + take(input, 1) - 2;
		prove(ids, model, lo, lo + take(input, 1) - 1);
	}
	must(ids->pending == model->pending, "as many in flight");
	must(ids->oldest == model->first_id + model->oldest, "the oldest");
	must(ids->next == model->first_id + model->next, "the next");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct model model;
	const struct zcreq_allocator allocator = {
		.calloc = model_calloc,
		.free = model_free,
		.arg = &model,
	};
	struct input input = { bytes, len };
	struct zcreq_ids ids;

	memset(&model, 0, sizeof(model));
	model.first_id = take(&input, 4);
	zcreq_ids_init(&ids, model.first_id);
	while (input.left)
		step(&ids, &model, &allocator, &input);
	zcreq_free(&allocator, ids.batches);
	must(model.blocks == 0, "nothing is leaked");
	return 0;
}
