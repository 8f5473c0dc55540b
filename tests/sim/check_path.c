/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_path.c - mode auto on a fake kernel whose path begins to copy, and stops again
 */
#include <check.h>

#include "stream/policy.h"
#include "sim/stage.h"
#include "support/suite.h"

#define BATCH 1000

static struct stage stage;

static void setup(void)
{
	stage_init(&stage);
	stage.options.mode = ZCREQ_MODE_AUTO;
	stage.knobs.record_bytes = 0;
	stage_open(&stage);
}

static void teardown(void)
{
	stage_deinit(&stage);
}

/* So many batches, each acknowledged at once; how many of them went by reference. */
static uint64_t by_reference(unsigned batches)
{
	uint64_t before = stage_stats(&stage).zerocopy_batches;

	for (unsigned i = 0; i < batches; i++) {
		stage_sent(&stage, BATCH);
		stage_ack_all(&stage);
	}
	return stage_stats(&stage).zerocopy_batches - before;
}

static void set_path(bool by_receiver, bool copies)
{
	struct fake_knobs *knobs = fake_socket_knobs(stage.sock);

	*(by_receiver ? &knobs->receiver_copies : &knobs->copies) = copies;
}

/* All are copied but for the probes, with one of which it begins; how often these come
 * is halved from pause to pause, so that the next four pauses' worth of batches has two. */
START_TEST(a_copying_path_converges_to_copies)
{
	set_path(_i, true);
	ck_assert_uint_eq(by_reference(ZCREQ_POLICY_PROBE), ZCREQ_POLICY_PROBE);
	ck_assert_uint_eq(by_reference(4 * ZCREQ_POLICY_PAUSE_LEAST), 2 * ZCREQ_POLICY_PROBE);
}
END_TEST

START_TEST(a_path_that_does_not_copy_stays_with_zerocopy)
{
	ck_assert_uint_eq(by_reference(1000), 1000);
	ck_assert_uint_eq(stage_stats(&stage).notified_copied, 0);
}
END_TEST

START_TEST(a_path_that_changes_is_followed_both_ways)
{
	for (int change = 0; change < 3; change++) {
		set_path(_i, true);
		/* what is left of the sample of before is judged with it */
		by_reference(2 * ZCREQ_POLICY_SAMPLE);
		ck_assert_uint_eq(by_reference(100), 0);
		set_path(_i, false);
		/* within the pause it is found out, and believed */
		by_reference(ZCREQ_POLICY_PAUSE_LEAST);
		ck_assert_uint_eq(by_reference(500), 500);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("path");
	TCase *path = tcase_create("path");

	tcase_add_checked_fixture(path, setup, teardown);
	tcase_add_loop_test(path, a_copying_path_converges_to_copies, 0, 2);
	tcase_add_test(path, a_path_that_does_not_copy_stays_with_zerocopy);
	tcase_add_loop_test(path, a_path_that_changes_is_followed_both_ways, 0, 2);
	suite_add_tcase(s, path);
	return suite_run(s);
}
