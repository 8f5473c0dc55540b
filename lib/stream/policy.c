/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/policy.h"

#define THRESHOLD_BYTES 65536 /* with pages of 4 KiB: doc/auto.md */
#define MEMBERS 8             /* of a batch that is just large enough */

void zcreq_policy_init(struct zcreq_policy *policy, enum zcreq_mode mode,
		       uint32_t threshold_bytes)
{
	*policy = (struct zcreq_policy){
		.state = mode == ZCREQ_MODE_ALWAYS  ? ZCREQ_POLICY_ALWAYS
			 : mode == ZCREQ_MODE_NEVER ? ZCREQ_POLICY_NEVER
						    : ZCREQ_POLICY_STARTING,
		.threshold_bytes = threshold_bytes || mode == ZCREQ_MODE_ALWAYS ? threshold_bytes
										 : THRESHOLD_BYTES,
		.pause_batches = ZCREQ_POLICY_PAUSE_LEAST,
	};
	if (mode == ZCREQ_MODE_AUTO)
		policy->member_bytes = policy->threshold_bytes / MEMBERS;
}

/* Begins a new sample in a state. */
static void enter(struct zcreq_policy *policy, enum zcreq_policy_state state)
{
	policy->state = (uint8_t)state;
	policy->sample_ids = 0;
	policy->sample_copied = 0;
	policy->asked_batches = 0;
}

static void pause_longer(struct zcreq_policy *policy)
{
	enter(policy, ZCREQ_POLICY_PAUSED);
	policy->rest_batches = policy->pause_batches;
	if (policy->pause_batches < ZCREQ_POLICY_PAUSE_MOST)
		policy->pause_batches *= 2;
}

void zcreq_policy_decide(struct zcreq_policy *policy)
{
	uint32_t many = policy->sample_ids - policy->sample_ids / 8;

	if (policy->state == ZCREQ_POLICY_PAUSED) {
		enter(policy, ZCREQ_POLICY_PROBING);
	} else if (policy->sample_copied >= many) {
		pause_longer(policy);
	} else {
		if (policy->state == ZCREQ_POLICY_USING)
			policy->pause_batches = ZCREQ_POLICY_PAUSE_LEAST;
		enter(policy, ZCREQ_POLICY_USING);
	}
}

void zcreq_policy_give_up(struct zcreq_policy *policy)
{
	enter(policy, ZCREQ_POLICY_NEVER);
}
