/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy.h - whether the next batch is worth MSG_ZEROCOPY
 *
 * Two questions in mode auto, of which mode always asks the first. Is the batch large
 * enough that pinning its pages is cheaper than copying it? That is the threshold. A batch
 * by reference costs something for itself and something for each of its members, so in mode
 * auto members have to be of an eighth of the threshold on average: what both are worth
 * depends on the pages, and where the one is lower so is the other (doc/auto.md). And does
 * the kernel really send without copying on this path? On loopback and through veth it
 * copies after all, and says so in the notification; then the pinning was for nothing.
 *
 * One such word proves little (kernels merge notifications, a path changes), so
 * the share of copied ones is taken over a sample, zero-copy is paused when it is
 * high, and tried again after a number of batches that doubles up to a limit. It
 * is never off for good. A batch that the kernel refused for want of locked or of option
 * memory, and that was copied for that, counts like one that it copied itself.
 *
 * A connection starts with zero-copy, and the first few ids decide: on loopback a
 * sample's worth of batches is a twentieth of what it sends in a quarter of a second. A
 * probe later on asks for no more than it needs, since what is not acknowledged yet can be
 * twice as much again.
 *
 * A good probe begins a sample, and only a good sample makes the next pause short
 * again: on a path that is good for a probe and no longer the pauses go on doubling.
 * There are at least PAUSE_LEAST large batches between two pauses, and between two
 * ends of one.
 *
 *	             share of copied at least 7/8
 *	  STARTING, USING --------------------------> PAUSED
 *	    ^   <-- a sample with a lower share --.     |  rest is over
 *	    |                                     |     v
 *	    '---------------------------------- PROBING-'   (high share: PAUSED, longer)
 */
#ifndef ZCREQ_LIB_POLICY_H
#define ZCREQ_LIB_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/stream.h>

enum zcreq_policy_state {
	ZCREQ_POLICY_STARTING = 1,
	ZCREQ_POLICY_USING,
	ZCREQ_POLICY_PROBING,
	ZCREQ_POLICY_PAUSED, /* from here on notifications say nothing */
	ZCREQ_POLICY_ALWAYS, /* mode always, from the threshold on: stays, unless the transport
				does not take it */
	ZCREQ_POLICY_NEVER,  /* mode never, or the transport does not take it: stays */
};

struct zcreq_policy {
	uint8_t state;            /* enum zcreq_policy_state */
	uint32_t threshold_bytes;
	uint32_t member_bytes;    /* the least that members have on average */
	uint32_t sample_ids;      /* notified in the current sample */
	uint32_t sample_copied;   /* of these, copied after all */
	uint32_t rest_batches;    /* until the next probe, when paused */
	uint32_t pause_batches;   /* how long the next pause is */
	uint32_t asked_batches;   /* since the probe began, whether or not it wanted them */
};

void zcreq_policy_init(struct zcreq_policy *policy, enum zcreq_mode mode,
		       uint32_t threshold_bytes);

/* The slow part of the two below: the sample is full, or the pause is over. */
void zcreq_policy_decide(struct zcreq_policy *policy);

/* The transport does not take MSG_ZEROCOPY at all: copies from here on, in every mode. */
__attribute__((cold)) void zcreq_policy_give_up(struct zcreq_policy *policy);

#define ZCREQ_POLICY_SAMPLE 64
#define ZCREQ_POLICY_PROBE 4
#define ZCREQ_POLICY_PAUSE_LEAST 512
#define ZCREQ_POLICY_PAUSE_MOST 65536

/* Should a batch of so many bytes, in so many members, go without copying? Asked once per
 * batch. */
static inline bool zcreq_policy_wants(struct zcreq_policy *policy, uint64_t bytes,
				      uint32_t members)
{
	if (bytes < policy->threshold_bytes || policy->state == ZCREQ_POLICY_NEVER ||
	    bytes < (uint64_t)members * policy->member_bytes)
		return false;
	if (policy->state == ZCREQ_POLICY_ALWAYS || policy->state == ZCREQ_POLICY_USING ||
	    policy->state == ZCREQ_POLICY_STARTING)
		return true;
	if (policy->state == ZCREQ_POLICY_PAUSED) {
		if (policy->rest_batches--)
			return false;
		zcreq_policy_decide(policy);
	}
	/* again if no word comes of those that were asked for: some may have had no room */
	return policy->asked_batches++ % ZCREQ_POLICY_PAUSE_LEAST < ZCREQ_POLICY_PROBE;
}

/* So many ids were notified, all of them copied or none. */
static inline void zcreq_policy_notified(struct zcreq_policy *policy, uint32_t ids, bool copied)
{
	if (policy->state >= ZCREQ_POLICY_PAUSED)
		return;
	policy->sample_ids += ids;
	policy->sample_copied += copied ? ids : 0;
	if (policy->sample_ids >= (policy->state == ZCREQ_POLICY_USING ? ZCREQ_POLICY_SAMPLE
								       : ZCREQ_POLICY_PROBE))
		zcreq_policy_decide(policy);
}

/* A batch that it wanted had to be copied, because the kernel had no memory for it. */
static inline void zcreq_policy_refused(struct zcreq_policy *policy)
{
	zcreq_policy_notified(policy, 1, true);
}

#endif
