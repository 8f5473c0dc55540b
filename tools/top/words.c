/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.c - sums, durations, and what a number of an enum means
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>

#include "base/words.h"
#include "top.h"

#define SECOND 1000000000ull

uint64_t since_ns(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

struct zcreq_stats pages_sum(const struct pages *pages)
{
	struct zcreq_stats sum = {0};
	uint64_t *to = (uint64_t *)&sum, oldest_age_ns = 0;

	for (size_t n = 0; n < pages->count; n++) {
		const struct zcreq_stats *stats = &pages->list[n].head.stats;
		const uint64_t *from = (const uint64_t *)stats;

		for (size_t i = 0; i < sizeof(sum) / sizeof(*to); i++)
			to[i] += from[i];
		if (stats->oldest_age_ns > oldest_age_ns)
			oldest_age_ns = stats->oldest_age_ns;
	}
	sum.oldest_age_ns = oldest_age_ns;
	return sum;
}

const char *page_trouble(const struct zcreq_page *page, uint64_t now, char text[WORDS])
{
	uint64_t age_ns = since_ns(page->written_ns, now);
	char age[WORD];

	duration_text(age_ns, age);
	if (page->state == ZCREQ_PAGE_STOPPED)
		snprintf(text, WORDS, "the program has stopped its page, %s ago", age);
	else if (kill((pid_t)page->pid, 0) && errno == ESRCH)
		snprintf(text, WORDS,
			 "process %" PRIu32 " is gone; this is what it wrote last, %s ago",
			 page->pid, age);
	else if (age_ns > 3 * 1000000ull * page->interval_ms + SECOND)
		snprintf(text, WORDS,
			 "not written for %s: process %" PRIu32 " is stopped, busy, or in no turn",
			 age, page->pid);
	else
		return NULL;
	return text;
}

const char *duration_text(uint64_t ns, char text[WORD])
{
	uint64_t ms = ns / 1000000, min = ns / (60 * SECOND);

	if (ms < 1000)
		snprintf(text, WORD, "%" PRIu64 " ms", ms);
	else if (ms < 100000)
		snprintf(text, WORD, "%" PRIu64 ".%" PRIu64 " s", ms / 1000, ms / 100 % 10);
	else if (min < 120)
		snprintf(text, WORD, "%" PRIu64 " min", min);
	else
		snprintf(text, WORD, "%" PRIu64 " h", min / 60);
	return text;
}

const char *bytes_text(uint64_t bytes, char text[WORD])
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes / 1024;
	const char *unit = units;

	if (bytes < 1024) {
		snprintf(text, WORD, "%" PRIu64, bytes);
		return text;
	}
	for (; value >= 1000; value /= 1024)
		unit++;
	snprintf(text, WORD, "%.*f%c", value < 100 ? 1 : 0, value, *unit);
	return text;
}

const char *copied_text(const struct zcreq_stats *stats, char text[WORD])
{
	double copied = (double)stats->copied_batches + (double)stats->notified_copied;
	double all = (double)stats->copied_batches + (double)stats->zerocopy_batches;

	if (all > 0)
		snprintf(text, WORD, "%.0f %%", 100 * copied / all);
	else
		*text = '\0';
	return text;
}

/* ---- enums ---- */

const char *state_name(uint32_t state)
{
	return state ? zcreq_conn_state_word(state) : "?";
}

const char *verdict_name(uint32_t verdict)
{
	static const char *const names[] = {
		[0] = "none",
		[ZCREQ_STALL_VANISHED] = "vanished",
		[ZCREQ_STALL_NOT_READING] = "not reading",
		[ZCREQ_STALL_CONGESTED] = "congested",
	};

	return names[verdict];
}

const char *cause_words(uint32_t cause)
{
	switch (cause) {
	case 0: return "?";
	case ZCREQ_CAUSE_NONE: return "it goes on";
	case ZCREQ_CAUSE_NOT_READING: return "the peer did not read"; /* it is over */
	default: return zcreq_cause_words(cause);
	}
}
