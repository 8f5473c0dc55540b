/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_faults.c - every allocation and every system call fails, in every way
 *
 * Each play is first told without a fault, which shows its crossings; then once for
 * each point. At the end of each, whatever has failed: every request was released
 * exactly once and not before the fake kernel had let go of it, a connection ended
 * only by an error that ends one, and with that error; and with the fault gone the
 * connection, if it lives, and a new one in the same context work as if nothing had
 * been. stage_deinit() then finds no block, no descriptor and no violation.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "faults/play.h"
#include "support/errno_name.h"
#include "support/suite.h"

/* What the forked tests tell their parent: how far they came. */
struct progress {
	unsigned crossings, points, fired;
	char at[120];
};

static struct progress *progress;

/* What the connection came to without a fault. */
struct course {
	unsigned aborts;
	int status;
};

static bool ended_by(const struct play *play, const struct course *usual)
{
	const struct fault_error *what = play->fault.what;
	int status = play->stage.abort_status;

	if (what->effect == FAULT_SURVIVED || play->fault.opening)
		return false;
	/* what cannot be asked after its health is taken for dead, and so is what is not
	 * connected any more */
	return status == -what->error || status == usual->status ||
	       ((what->kind == FAKE_GETSOCKOPT || what->error == ENOTCONN) &&
		status == -ECONNRESET);
}

/* It ended by what it should have ended by, or did not. */
static void check_course(const struct play *play, const struct course *usual)
{
	const struct fault_error *what = play->fault.what;
	const struct stage *stage = &play->stage;

	CLAIM(stage->aborts <= 1);
	if (!play->fault.failed || (play->fault.times == 1 && what->effect == FAULT_SURVIVED)) {
		CLAIM(stage->aborts == usual->aborts && stage->abort_status == usual->status);
		return;
	}
	if (what->effect == FAULT_ENDS && !play->freed)
		CLAIM(stage->aborts == 1 && stage->abort_status == -what->error);
	/* what lasts may hide from it why it should have ended */
	if (stage->aborts && stage->abort_status != usual->status)
		CLAIM(ended_by(play, usual));
}

/* No byte twice or never, and what could not be handed on was counted. */
static void check_stats(const struct play *play)
{
	struct zcreq_stats stats = stage_stats(&play->stage);

	CLAIM(stats.sent_bytes == stage_report(&play->stage).accepted_bytes);
	CLAIM(stats.foreign_messages == play->stage.messages + stats.foreign_lost);
}

static void check_statuses(const struct play *play)
{
	const struct stage_request *request;
	int status;

	for (request = play->stage.requests; request; request = request->next) {
		status = request->released_status;
		CLAIM(!request->released || !status || status == play->own_status ||
		      status == play->stage.abort_status ||
		      (play->freed && status == -ECANCELED));
	}
}

/* The fault is gone: what is open works, what drains ends well. */
static void check_alive(struct stage *stage)
{
	struct stage_request *request;
	bool drains = zcreq_conn_state(stage->conn) == ZCREQ_CONN_DRAINING;

	fake_socket_return(stage->sock);
	fake_socket_window(stage->sock, FAKE_NEVER);
	stage_wait_ms(stage, 30);
	stage_ack_all(stage);
	if (drains) {
		/* no event tells of the acknowledgement: until the next look for it */
		stage_wait_ms(stage, 250);
		CLAIM(stage->closes == 1 && stage->closed_status == 0);
		return;
	}
	request = stage_sent(stage, 321);
	stage_ack_all(stage);
	stage_expect_released(request, 0);
}

/* And what was aborted gets everything back, from quarantine as well. */
static void check_dead(struct stage *stage)
{
	unsigned looks; /* a second each, in quarantine; some find it busy */

	for (looks = 0; looks < 5; looks++) {
		fake_socket_let_go(stage->sock, UINT32_MAX);
		stage_wait_ms(stage, 1001);
	}
	CLAIM(stage_stats(stage).requests_now == 0);
	CLAIM(!stage->conn || zcreq_conn_state(stage->conn) == ZCREQ_CONN_CLOSED);
}

/* And a new connection works in the same context. */
static void check_after(struct play *play)
{
	struct stage *stage = &play->stage;
	struct stage_request *request;
	struct fake_knobs knobs;

	stage_end(stage);
	check_statuses(play);
	fake_socket_knobs_init(&knobs);
	stage->knobs = knobs;
	play_open(play);
	request = stage_sent(stage, 1234);
	stage_ack_all(stage);
	stage_expect_released(request, 0);
}

/* Tells a story once; with @at 0 all goes well. */
static void tell(const struct play_story *story, struct play *play, unsigned at,
		 const struct fault_error *what, unsigned times, const struct course *usual)
{
	memset(play, 0, sizeof(*play));
	stage_init(&play->stage);
	fault_init(&play->fault, &play->stage.fault.allocator);
	play->fault.at = at;
	play->fault.what = what;
	play->fault.times = times;
	if (story->set)
		story->set(&play->stage);
	story->act(play);
	fault_lift(&play->fault);
	if (usual)
		check_course(play, usual);
	check_stats(play);
	check_statuses(play);
}

static void end(struct play *play)
{
	int state = zcreq_conn_state(play->stage.conn);

	if (state == ZCREQ_CONN_OPEN || state == ZCREQ_CONN_DRAINING)
		check_alive(&play->stage);
	else
		check_dead(&play->stage);
	check_after(play);
	stage_deinit(&play->stage);
}

static void visit(const struct play_story *story, struct progress *told, unsigned at,
		  const struct fault_error *what, unsigned times, const struct course *usual)
{
	static struct play play;

	snprintf(told->at, sizeof(told->at), "crossing %u, %s of kind %u, %s", at,
		 errno_name(what->error), what->kind, times == 1 ? "once" : "lasting");
	tell(story, &play, at, what, times, usual);
	CLAIM(play.fault.failed > 0);
	end(&play);
	told->points++;
}

START_TEST(every_fault_is_reported_and_survived)
{
	const struct play_story *story = &play_stories[_i];
	struct progress *told = &progress[_i];
	static struct play play;
	struct course usual;
	unsigned char kinds[sizeof(play.fault.kinds)];
	unsigned at, i;

	snprintf(told->at, sizeof(told->at), "no fault");
	tell(story, &play, 0, NULL, 0, NULL);
	told->crossings = play.fault.crossings;
	memcpy(kinds, play.fault.kinds, sizeof(kinds));
	usual = (struct course){ play.stage.aborts, play.stage.abort_status };
	end(&play);
	CLAIM(told->crossings > 5 && told->crossings < sizeof(kinds));
	for (at = 1; at <= told->crossings; at++) {
		for (i = 0; i < fault_error_count; i++) {
			if (fault_errors[i].kind != kinds[at - 1])
				continue;
			visit(story, told, at, &fault_errors[i], 1, &usual);
			visit(story, told, at, &fault_errors[i], fault_errors[i].most, &usual);
		}
	}
	snprintf(told->at, sizeof(told->at), "all");
}
END_TEST

static void report(void)
{
	unsigned i, crossings = 0, points = 0;

	for (i = 0; i < play_story_count; i++) {
		crossings += progress[i].crossings;
		points += progress[i].points;
		printf("%-14s %5u crossings %6u points, %s\n", play_stories[i].name,
		       progress[i].crossings, progress[i].points, progress[i].at);
	}
	printf("faults=core plays=%u crossings=%u points=%u\n", play_story_count, crossings,
	       points);
}

int main(void)
{
	Suite *suite = suite_create("faults");
	TCase *tcase = tcase_create("plays");
	int ret;

	progress = mmap(NULL, play_story_count * sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return 1;
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_fault_is_reported_and_survived, 0,
			    (int)play_story_count);
	suite_add_tcase(suite, tcase);
	ret = suite_run(suite);
	report();
	return ret;
}
