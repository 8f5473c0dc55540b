/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_threads.c - zcreq_post_drop() and zcreq_post(), one call at a time
 *
 * What each call gives and when it takes effect; check_threads_real.c has the
 * threads.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/recorder.h"

#define MANY 5000

static struct counting memory;
static struct zcreq_context *context;
static struct zcreq_conn *conn;
static struct heard_conn hooks;
static struct heard heards[MANY];
static zcreq_hold holds[MANY];
static uint64_t stale;

static void open_conn(void)
{
	const struct zcreq_conn_options options = {
		.size = sizeof(options), .hooks = &heard_hooks, .arg = &hooks,
	};

	context = counting_context(&memory, 0);
	ck_assert_int_eq(zcreq_conn_open(context, &options, &conn), 0);
}

static void setup(void)
{
	open_conn();
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
}

static void teardown(void)
{
	ck_assert_uint_eq(stats_of(context).stale_handles, stale);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(stats_of(context).holds_now, 0);
	counting_end(&memory, context);
}

/* Requests that are finished and wait for one hold each. */
static void begin_held(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		heard_begin(conn, &heards[i]);
		holds[i] = heard_take(context, &heards[i]);
		CLAIM(zcreq_finish(context, heards[i].id, 0) == 0);
	}
}

static bool readable(void)
{
	struct pollfd fd = {zcreq_context_fd(context), POLLIN, 0};

	CLAIM(fd.fd >= 0);
	return poll(&fd, 1, 0) == 1;
}

/* The counter behind the context's descriptor: there is no other. */
static int wakes_by(void)
{
	char path[40], file[40] = "";
	int fd = -1;

	do {
		ck_assert_int_lt(++fd, 1000);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	} while (readlink(path, file, sizeof(file) - 1) < 0 || !strstr(file, "[eventfd]"));
	return fd;
}

static void assert_stale(uint64_t bits)
{
	const zcreq_hold hold = {bits};

	CLAIM(zcreq_post_drop(context, hold, 0) == -ESTALE);
	CLAIM(zcreq_drop(context, hold, 0) == -ESTALE);
	stale += 2;
	CLAIM(stats_of(context).stale_handles == stale);
}

/* ---- opening --------------------------------------------------------------- */

START_TEST(nothing_works_before_it_is_opened)
{
	open_conn();
	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), -ENXIO);
	ck_assert_int_ge(zcreq_context_fd(context), 0);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), -ENXIO);
	ck_assert_int_eq(zcreq_drop(context, holds[0], 0), 0);
	teardown();
}
END_TEST

START_TEST(a_caller_s_mistakes_change_nothing)
{
	setup();
	begin_held(1);
	ck_assert_int_eq(zcreq_threads_open(NULL, 0), -EINVAL);
	ck_assert_int_eq(zcreq_threads_open(context, 2), -EINVAL);
	ck_assert_int_eq(zcreq_threads_open(context, 0), -EALREADY);
	ck_assert_int_eq(zcreq_context_fd(NULL), -EINVAL);
	ck_assert_int_eq(zcreq_post_drop(NULL, holds[0], 0), -EINVAL);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 1), -EINVAL);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	teardown();
}
END_TEST

static struct rlimit no_descriptors(void)
{
	struct rlimit limit = {0, 0}, before;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

/* Only the one who has a descriptor to be woken by needs another for it. */
START_TEST(without_memory_or_descriptors_it_stays_closed)
{
	struct rlimit before;

	open_conn();
	memory.fail_at = memory.calls + 1;
	ck_assert_int_eq(zcreq_threads_open(context, 0), -ENOMEM);
	ck_assert_int_ge(zcreq_context_fd(context), 0);
	before = no_descriptors();
	errno = 0;
	ck_assert_int_eq(zcreq_threads_open(context, 0), -EMFILE);
	ck_assert_int_eq(errno, 0);
	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), -ENXIO);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	ck_assert(readable());
	teardown();
}
END_TEST

/* And the descriptor of a context that is open to others cannot be half of one. */
START_TEST(without_descriptors_the_context_has_none_and_others_still_post)
{
	struct rlimit before;

	setup();
	begin_held(1);
	before = no_descriptors();
	ck_assert_int_eq(zcreq_context_fd(context), -EMFILE);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert(!readable());
	teardown();
}
END_TEST

START_TEST(the_descriptor_is_close_on_exec_and_goes_with_the_context)
{
	int fd, wakes;

	setup();
	fd = zcreq_context_fd(context);
	ck_assert_int_ge(fd, 0);
	wakes = wakes_by();
	ck_assert_int_eq(zcreq_context_fd(context), fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(fcntl(wakes, F_GETFD), FD_CLOEXEC);
	teardown();
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	ck_assert_int_eq(fcntl(wakes, F_GETFD), -1);
}
END_TEST

/* Nothing is made for it, and nobody is woken. */
START_TEST(a_program_that_polls_needs_no_descriptor)
{
	struct rlimit before;

	open_conn();
	before = no_descriptors();
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	ck_assert_uint_eq(zcreq_turn(context, 1), ZCREQ_NEVER);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	teardown();
}
END_TEST

/* ---- drops ------------------------------------------------------------------ */

START_TEST(a_drop_takes_effect_in_a_turn)
{
	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	ck_assert_uint_eq(stats_of(context).holds_now, 1);
	ck_assert_uint_eq(stats_of(context).posted_drops, 0);
	ck_assert_int_eq(zcreq_request_state(context, heards[0].id), ZCREQ_STATE_FINISHED);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_int_eq(heards[0].status, 0);
	ck_assert_uint_eq(stats_of(context).holds_now, 0);
	ck_assert_uint_eq(stats_of(context).posted_drops, 1);
}
END_TEST

START_TEST(a_turn_that_took_drops_in_asks_for_nothing_more)
{
	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], -EIO), 0);
	ck_assert_uint_eq(zcreq_turn(context, 1), ZCREQ_NEVER);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_int_eq(heards[0].status, -EIO);
}
END_TEST

START_TEST(i3_a_handle_is_used_up_at_once)
{
	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	assert_stale(holds[0].bits);
	zcreq_turn(context, 0);
	assert_stale(holds[0].bits);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_uint_eq(stats_of(context).posted_drops, 1);
}
END_TEST

/* In use, on its way home, and free: whatever differs in one bit is not it. */
START_TEST(i3_forged_handles_are_stale_in_every_state)
{
	begin_held(2);
	for (unsigned state = 0; state < 3; state++) {
		for (unsigned bit = 0; bit < 64; bit++)
			if (state || (holds[0].bits ^ (uint64_t)1 << bit) != holds[1].bits)
				assert_stale(holds[0].bits ^ (uint64_t)1 << bit);
		assert_stale(0);
		assert_stale(UINT64_MAX);
		assert_stale(heards[0].id.bits);
		if (state == 0) {
			ck_assert_int_eq(zcreq_drop(context, holds[1], 0), 0);
			ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
		} else {
			zcreq_turn(context, 0);
		}
	}
	ck_assert_uint_eq(heards[0].released, 1);
}
END_TEST

START_TEST(i3_an_old_handle_leaves_the_next_life_of_its_slot_alone)
{
	zcreq_hold next;

	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	zcreq_turn(context, 0);
	heard_begin(conn, &heards[1]);
	next = heard_take(context, &heards[1]);
	ck_assert_uint_eq(next.bits & 0x3ffffff, holds[0].bits & 0x3ffffff);
	assert_stale(holds[0].bits);
	ck_assert_int_eq(zcreq_finish(context, heards[1].id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[1].released, 0);
	ck_assert_int_eq(zcreq_post_drop(context, next, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[1].released, 1);
}
END_TEST

START_TEST(i3_a_hold_of_another_context_is_stale)
{
	struct counting other_memory;
	struct zcreq_context *other;
	struct zcreq_context_options options = {.size = sizeof(options)};

	counting_init(&other_memory);
	options.allocator = &other_memory.allocator;
	ck_assert_int_eq(zcreq_context_new(&options, &other), 0);
	ck_assert_int_eq(zcreq_threads_open(other, 0), 0);
	begin_held(1);
	ck_assert_int_eq(zcreq_post_drop(other, holds[0], 0), -ESTALE);
	ck_assert_uint_eq(stats_of(other).stale_handles, 1);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	zcreq_turn(context, 0);
	counting_end(&other_memory, other);
}
END_TEST

START_TEST(the_first_status_wins_in_the_order_of_the_calls)
{
	zcreq_hold more[3];

	heard_begin(conn, &heards[0]);
	for (unsigned i = 0; i < COUNT(more); i++)
		more[i] = heard_take(context, &heards[0]);
	ck_assert_int_eq(zcreq_finish(context, heards[0].id, 0), 0);
	ck_assert_int_eq(zcreq_post_drop(context, more[2], 0), 0);
	ck_assert_int_eq(zcreq_post_drop(context, more[0], -EIO), 0);
	ck_assert_int_eq(zcreq_post_drop(context, more[1], -EPERM), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_int_eq(heards[0].status, -EIO);
}
END_TEST

static unsigned released_so_far;

static void in_order(struct heard *heard, enum heard_callback callback)
{
	if (callback == HEARD_RELEASED) {
		CLAIM(heard == &heards[MANY - 1 - released_so_far]);
		released_so_far++;
	}
}

/* The table's array of pages is outgrown several times while the holds are out. */
START_TEST(many_holds_of_a_table_that_grew_come_home_in_order)
{
	for (unsigned i = 0; i < MANY; i++)
		heards[i].inside = in_order;
	begin_held(MANY);
	for (unsigned i = MANY; i-- > 0;)
		CLAIM(zcreq_post_drop(context, holds[i], 0) == 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(released_so_far, MANY);
	ck_assert_uint_eq(stats_of(context).posted_drops, MANY);
}
END_TEST

START_TEST(an_aborted_connection_closes_with_the_last_drop)
{
	heard_begin(conn, &heards[0]);
	holds[0] = heard_take(context, &heards[0]);
	ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_finish(context, heards[0].id, 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].settled, 1);
	ck_assert_uint_eq(heards[0].released, 0);
	ck_assert_uint_eq(hooks.closed, 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], -EIO), 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_int_eq(heards[0].status, -EPIPE);
	ck_assert_uint_eq(hooks.closed, 1);
}
END_TEST

static void drop_next(struct heard *heard, enum heard_callback callback)
{
	if (callback == HEARD_RELEASED && heard == &heards[0]) {
		CLAIM(zcreq_post_drop(context, holds[1], 0) == 0);
		CLAIM(zcreq_turn(context, 0) == 0); /* at once: it is not for here */
		CLAIM(heards[1].released == 0);
	}
}

START_TEST(i6_a_drop_inside_a_callback_takes_effect_after_it_in_the_same_turn)
{
	heards[0].inside = drop_next;
	begin_held(2);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	ck_assert_uint_eq(zcreq_turn(context, 0), ZCREQ_NEVER);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_uint_eq(heards[1].released, 1);
}
END_TEST

/* ---- waking ------------------------------------------------------------------ */

/* Whichever of the two is made first. */
START_TEST(the_descriptor_tells_of_drops_until_a_turn)
{
	open_conn();
	if (_i)
		ck_assert_int_ge(zcreq_context_fd(context), 0);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	begin_held(3);
	ck_assert(!readable());
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	ck_assert(readable());
	ck_assert_int_eq(zcreq_post_drop(context, holds[1], 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released + heards[1].released, 2);
	ck_assert(!readable());
	zcreq_turn(context, 0);
	ck_assert(!readable());
	ck_assert_int_eq(zcreq_post_drop(context, holds[2], 0), 0);
	ck_assert(readable());
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[2].released, 1);
	ck_assert(!readable());
	teardown();
}
END_TEST

/* Also those to whom nobody could be woken when they came. */
START_TEST(a_descriptor_that_is_made_late_tells_of_what_waits)
{
	setup();
	begin_held(2);
	ck_assert_int_eq(zcreq_post_drop(context, holds[0], 0), 0);
	ck_assert(readable());
	ck_assert_int_eq(zcreq_post_drop(context, holds[1], 0), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released + heards[1].released, 2);
	ck_assert(!readable());
	teardown();
}
END_TEST

/* A system call for each drop would cost more than the drop. */
START_TEST(only_the_first_of_many_drops_wakes)
{
	uint64_t wakes = 0;

	setup();
	begin_held(3);
	ck_assert(!readable());
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(zcreq_post_drop(context, holds[i], 0), 0);
	ck_assert_int_eq(read(wakes_by(), &wakes, sizeof(wakes)), sizeof(wakes));
	ck_assert_uint_eq(wakes, 1);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released + heards[1].released + heards[2].released, 3);
	teardown();
}
END_TEST

static void *drop_first(void *arg)
{
	(void)arg;
	CLAIM(zcreq_post_drop(context, holds[0], 0) == 0);
	return NULL;
}

/* A thread that is still inside the call that wakes: here it cannot get on, because the
 * counter is full and its write was made to wait. */
START_TEST(the_context_stays_until_the_last_thread_has_left)
{
	uint64_t full = UINT64_MAX - 1;
	pthread_t thread;
	int fd;

	setup();
	begin_held(1);
	ck_assert(!readable());
	fd = wakes_by();
	ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
	ck_assert_int_eq(write(fd, &full, sizeof(full)), sizeof(full));
	ck_assert_int_eq(pthread_create(&thread, NULL, drop_first, NULL), 0);
	while (!heards[0].released)
		zcreq_turn(context, 0);
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	ck_assert_int_eq(read(fd, &full, sizeof(full)), sizeof(full));
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(zcreq_context_free(context), 0);
	ck_assert_int_eq(memory.live, 0);
}
END_TEST

START_TEST(a_stale_drop_wakes_nobody_and_errno_is_left_alone)
{
	setup();
	begin_held(1);
	errno = EXDEV;
	ck_assert(!readable());
	ck_assert_int_eq(zcreq_drop(context, holds[0], 0), 0);
	assert_stale(holds[0].bits);
	ck_assert(!readable());
	ck_assert_int_eq(errno, EXDEV);
	teardown();
}
END_TEST

/* ---- posts ------------------------------------------------------------------ */

static struct job {
	struct zcreq_call call;
	unsigned runs, again;
} jobs[MANY];
static unsigned ran, refused;

/* Each of them runs in the order in which it was posted, and may post itself again. */
static void run_job(struct zcreq_call *call)
{
	struct job *job = (struct job *)call;

	CLAIM(job == &jobs[ran++ % MANY] || job->runs);
	job->runs++;
	if (job->again) {
		job->again--;
		CLAIM(zcreq_post(context, call) == 0);
	}
}

static void free_context(struct zcreq_call *call)
{
	(void)call;
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	refused++;
}

static void begin_and_finish(struct zcreq_call *call)
{
	(void)call;
	heard_begin(conn, &heards[0]);
	CLAIM(zcreq_finish(context, heards[0].id, -EIO) == 0);
}

START_TEST(a_post_runs_where_callbacks_run)
{
	jobs[0].call.run = run_job;
	ck_assert(!readable());
	ck_assert_int_eq(zcreq_post(context, &jobs[0].call), 0);
	ck_assert_uint_eq(jobs[0].runs, 0);
	ck_assert(readable());
	ck_assert_uint_eq(zcreq_turn(context, 0), ZCREQ_NEVER);
	ck_assert_uint_eq(jobs[0].runs, 1);
	ck_assert(!readable());
	zcreq_turn(context, 0);
	ck_assert_uint_eq(jobs[0].runs, 1);
}
END_TEST

START_TEST(posts_run_in_the_order_of_their_calls)
{
	for (unsigned i = 0; i < MANY; i++) {
		jobs[i].call.run = run_job;
		CLAIM(zcreq_post(context, &jobs[i].call) == 0);
	}
	zcreq_turn(context, 0);
	ck_assert_uint_eq(ran, MANY);
}
END_TEST

/* Nobody keeps the owner there, and nothing that is posted inside is forgotten. */
START_TEST(a_post_inside_a_post_runs_in_the_same_turn_or_at_once)
{
	const unsigned agains[] = {0, 2, 1000};
	const unsigned again = agains[_i];
	uint64_t deadline_ns = 0;

	jobs[0].call.run = run_job;
	jobs[0].again = again;
	ck_assert_int_eq(zcreq_post(context, &jobs[0].call), 0);
	while (jobs[0].runs <= again) {
		unsigned before = jobs[0].runs;

		ck_assert_uint_le(deadline_ns, 77);
		deadline_ns = zcreq_turn(context, 77);
		ck_assert_uint_gt(jobs[0].runs, before);
		ck_assert_uint_le(jobs[0].runs, before + 20);
	}
	ck_assert_uint_eq(jobs[0].runs, again + 1);
	ck_assert_uint_eq(zcreq_turn(context, 77), ZCREQ_NEVER);
	ck_assert(!readable());
}
END_TEST

START_TEST(a_post_may_begin_and_finish_requests)
{
	jobs[0].call.run = begin_and_finish;
	ck_assert_int_eq(zcreq_post(context, &jobs[0].call), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(heards[0].released, 1);
	ck_assert_int_eq(heards[0].status, -EIO);
}
END_TEST

START_TEST(a_context_is_not_freed_with_a_post_that_has_not_run)
{
	setup();
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	jobs[0].call.run = run_job;
	ck_assert_int_eq(zcreq_post(context, &jobs[0].call), 0);
	ck_assert_int_eq(zcreq_context_free(context), -EBUSY);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(jobs[0].runs, 1);
	/* nor from inside one */
	jobs[0].call.run = free_context;
	ck_assert_int_eq(zcreq_post(context, &jobs[0].call), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(refused, 1);
	counting_end(&memory, context);
}
END_TEST

START_TEST(a_post_that_cannot_be_is_an_error)
{
	struct zcreq_call nothing = {NULL, NULL};

	open_conn();
	jobs[0].call.run = run_job;
	ck_assert_int_eq(zcreq_post(context, &jobs[0].call), -ENXIO);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	ck_assert_int_eq(zcreq_post(NULL, &jobs[0].call), -EINVAL);
	ck_assert_int_eq(zcreq_post(context, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_post(context, &nothing), -EINVAL);
	/* a program that polls is woken by nobody */
	ck_assert_int_eq(zcreq_post(context, &jobs[0].call), 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(jobs[0].runs, 1);
	teardown();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("threads");
	TCase *opening = tcase_create("open"), *drops = tcase_create("drop");
	TCase *posts = tcase_create("post");

	tcase_add_test(opening, nothing_works_before_it_is_opened);
	tcase_add_test(opening, a_caller_s_mistakes_change_nothing);
	tcase_add_test(opening, without_memory_or_descriptors_it_stays_closed);
	tcase_add_test(opening, the_descriptor_is_close_on_exec_and_goes_with_the_context);
	tcase_add_test(opening, a_program_that_polls_needs_no_descriptor);
	tcase_add_test(opening, without_descriptors_the_context_has_none_and_others_still_post);
	tcase_add_loop_test(opening, the_descriptor_tells_of_drops_until_a_turn, 0, 2);
	tcase_add_test(opening, a_descriptor_that_is_made_late_tells_of_what_waits);
	tcase_add_test(opening, only_the_first_of_many_drops_wakes);
	tcase_add_test(opening, the_context_stays_until_the_last_thread_has_left);
	tcase_add_test(opening, a_stale_drop_wakes_nobody_and_errno_is_left_alone);
	suite_add_tcase(s, opening);
	tcase_add_checked_fixture(drops, setup, teardown);
	tcase_add_test(drops, a_drop_takes_effect_in_a_turn);
	tcase_add_test(drops, a_turn_that_took_drops_in_asks_for_nothing_more);
	tcase_add_test(drops, i3_a_handle_is_used_up_at_once);
	tcase_add_test(drops, i3_forged_handles_are_stale_in_every_state);
	tcase_add_test(drops, i3_an_old_handle_leaves_the_next_life_of_its_slot_alone);
	tcase_add_test(drops, i3_a_hold_of_another_context_is_stale);
	tcase_add_test(drops, the_first_status_wins_in_the_order_of_the_calls);
	tcase_add_test(drops, many_holds_of_a_table_that_grew_come_home_in_order);
	tcase_add_test(drops, an_aborted_connection_closes_with_the_last_drop);
	tcase_add_test(drops, i6_a_drop_inside_a_callback_takes_effect_after_it_in_the_same_turn);
	suite_add_tcase(s, drops);
	tcase_add_checked_fixture(posts, setup, teardown);
	tcase_add_test(posts, a_post_runs_where_callbacks_run);
	tcase_add_test(posts, posts_run_in_the_order_of_their_calls);
	tcase_add_loop_test(posts, a_post_inside_a_post_runs_in_the_same_turn_or_at_once, 0, 3);
	tcase_add_test(posts, a_post_may_begin_and_finish_requests);
	suite_add_tcase(s, posts);
	tcase_add_test(opening, a_context_is_not_freed_with_a_post_that_has_not_run);
	tcase_add_test(opening, a_post_that_cannot_be_is_an_error);
	return suite_run(s);
}
