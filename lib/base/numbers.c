/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/numbers.h"

#include <errno.h>
#include <string.h>

#include "base/bug.h"

#define WORD_BITS 64
#define WORDS_LEAST 4

static uint64_t bit_of(uint32_t number)
{
	return (uint64_t)1 << number % WORD_BITS;
}

static int grow(struct zcreq_numbers *set, const struct zcreq_allocator *allocator, uint32_t least)
{
	uint32_t count = set->word_count ? set->word_count * 2 : WORDS_LEAST;
	uint64_t *words;

	if (count < least)
		count = least;
	words = zcreq_calloc(allocator, count, sizeof(*words));
	if (!words)
		return -ENOMEM;
	if (set->words)
		memcpy(words, set->words, set->word_count * sizeof(*words));
	zcreq_free(allocator, set->words);
	set->words = words;
	set->word_count = count;
	return 0;
}

int zcreq_numbers_put(struct zcreq_numbers *set, const struct zcreq_allocator *allocator,
		      uint32_t number)
{
	uint32_t word = number / WORD_BITS;

	if (word >= set->word_count && grow(set, allocator, word + 1))
		return -ENOMEM;
	if (set->words[word] & bit_of(number))
		return -EEXIST;
	set->words[word] |= bit_of(number);
	return 0;
}

void zcreq_numbers_drop(struct zcreq_numbers *set, uint32_t number)
{
	zcreq_assert(number / WORD_BITS < set->word_count);
	set->words[number / WORD_BITS] &= ~bit_of(number);
}

void zcreq_numbers_deinit(struct zcreq_numbers *set, const struct zcreq_allocator *allocator)
{
	zcreq_free(allocator, set->words);
	*set = (struct zcreq_numbers){0};
}
