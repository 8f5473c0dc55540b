/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_threads_real.c - holds dropped by four threads while the owner works on
 *
 * The owner hands each hold to a thread through a fifo of that thread's own; some go
 * to two threads, or are dropped by the owner as well: of those exactly one drop may
 * succeed. It sleeps in poll(2) without a limit that would hide a lost wake-up. Made
 * for -fsanitize=thread too.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <zcreq/zcreq.h>

#define THREADS 4
#define FIFO 256
#define REQUESTS 50000 /* of each thread */
#define LONG_MS 20000

/* One writer, one reader. A hold of 0 bits ends the thread. */
struct worker {
	pthread_t thread;
	_Atomic unsigned written, read;
	zcreq_hold fifo[FIFO];
	uint64_t dropped, stale;
};

/* A request: which of its thread's, and how many drops must have succeeded. */
struct job {
	unsigned worker, number;
};

static struct zcreq_context *context;
static struct zcreq_conn *conn;
static struct pollfd wait_for = {.events = POLLIN};
static struct worker workers[THREADS];
static uint64_t released, last_released[THREADS];
static uint64_t owner_dropped, owner_stale, taken;

static void *work(void *arg)
{
	struct worker *worker = arg;
	unsigned read = 0;
	zcreq_hold hold;
	int ret;

	for (;; read++) {
		while (atomic_load_explicit(&worker->written, memory_order_acquire) == read)
			sched_yield();
		hold = worker->fifo[read % FIFO];
		if (!hold.bits)
			return NULL;
		ret = zcreq_post_drop(context, hold, 0);
		CLAIM(ret == 0 || ret == -ESTALE);
		worker->dropped += ret == 0;
		worker->stale += ret != 0;
		atomic_store_explicit(&worker->read, read + 1, memory_order_release);
	}
}

static bool has_room(const struct worker *worker)
{
	return worker->written - atomic_load_explicit(&worker->read, memory_order_acquire) < FIFO;
}

static void hand(struct worker *worker, zcreq_hold hold)
{
	unsigned written = worker->written;

	while (!has_room(worker))
		sched_yield();
	worker->fifo[written % FIFO] = hold;
	atomic_store_explicit(&worker->written, written + 1, memory_order_release);
}

/* What each thread drops comes back in the order in which it was dropped. */
static void on_released(zcreq_id id, int status, void *arg)
{
	struct job *job = arg;

	(void)id;
	CLAIM(status == 0 || status == -EPIPE || status == -ECANCELED);
	CLAIM(job->number > last_released[job->worker] || status);
	if (!status)
		last_released[job->worker] = job->number;
	released++;
	free(job);
}

static void on_aborting(zcreq_id id, int status, void *arg)
{
	(void)status;
	(void)arg;
	CLAIM(zcreq_finish(context, id, 0) == 0);
}

static const struct zcreq_request_hooks ops = {.released = on_released, .aborting = on_aborting};

static zcreq_id begin(unsigned worker, unsigned number)
{
	struct job *job = malloc(sizeof(*job));
	zcreq_id id = {0};

	*job = (struct job){worker, number};
	CLAIM(zcreq_begin(conn, &ops, job, 0, &id) == 0);
	return id;
}

static zcreq_hold take(zcreq_id id)
{
	zcreq_hold hold = {0};

	CLAIM(zcreq_take(context, id, &hold) == 0);
	taken++;
	return hold;
}

static void owner_drop(zcreq_hold hold)
{
	int ret = zcreq_drop(context, hold, 0);

	CLAIM(ret == 0 || ret == -ESTALE);
	owner_dropped += ret == 0;
	owner_stale += ret != 0;
}

/* One request for a thread; now and then it is aborted, and the owner tries as well. */
static void play(unsigned worker, unsigned number, bool race)
{
	zcreq_id id = begin(worker, number);
	zcreq_hold hold = take(id);

	if (race)
		CLAIM(zcreq_abort(context, id, -ECANCELED) == 0);
	else
		CLAIM(zcreq_finish(context, id, 0) == 0);
	hand(&workers[worker], hold);
	if (race)
		owner_drop(hold);
}

/* With a descriptor, or polled. */
static void open_all(bool sleeps)
{
	ck_assert_int_eq(zcreq_context_new(NULL, &context), 0);
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	wait_for.fd = sleeps ? zcreq_context_fd(context) : -1;
	ck_assert_int_eq(wait_for.fd >= 0, sleeps);
	ck_assert_int_eq(zcreq_conn_open(context, NULL, &conn), 0);
}

static void start(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		atomic_store(&workers[i].written, 0);
		atomic_store(&workers[i].read, 0);
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
}

static void stop(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		hand(&workers[i], (zcreq_hold){0});
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
}

/* Sleeps until all that began is released: a wake-up that is lost is a failure. */
static void await_all(uint64_t begun)
{
	while (zcreq_turn(context, 0), released < begun) {
		if (wait_for.fd < 0)
			sched_yield();
		else
			ck_assert_msg(poll(&wait_for, 1, LONG_MS) == 1, "nobody woke the owner");
	}
}

static void assert_exactly_once(void)
{
	struct zcreq_stats stats = {0};
	uint64_t dropped = 0, stale = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		dropped += workers[i].dropped;
		stale += workers[i].stale;
	}
	ck_assert_int_eq(zcreq_context_stats(context, &stats, sizeof(stats)), 0);
	ck_assert_uint_eq(dropped + owner_dropped, taken);
	ck_assert_uint_eq(stats.posted_drops, dropped);
	ck_assert_uint_eq(stats.stale_handles, stale + owner_stale);
	ck_assert_uint_eq(stats.begun, stats.released);
	ck_assert_uint_eq(stats.holds_now, 0);
}

/* A thread may still be on its way out of the call whose hold is long gone. */
static void free_all(void)
{
	zcreq_conn_free(conn);
	zcreq_turn(context, 0);
	while (zcreq_context_free(context) == -EBUSY)
		sched_yield();
}

START_TEST(i1_holds_dropped_by_four_threads_are_taken_in_once_each)
{
	uint64_t seed = 0x5eed + _i, luck;

	open_all(!_i);
	start();
	for (unsigned number = 1; number <= REQUESTS; number++) {
		for (unsigned i = 0; i < THREADS; i++) {
			luck = suite_random(&seed);
			play(i, number, luck % 16 == 0);
			if (luck >> 32 & 1)
				zcreq_turn(context, 0);
		}
	}
	await_all((uint64_t)THREADS * REQUESTS);
	stop();
	assert_exactly_once();
	free_all();
}
END_TEST

/* The same hold for several, so that claims race; the order of releases is free. */
START_TEST(i3_of_claims_that_race_one_wins)
{
	uint64_t seed = 0x5eed, begun = 0;

	open_all(true);
	start();
	for (unsigned number = 0; number < REQUESTS / 2; number++, begun++) {
		zcreq_id id = begin(0, 1000000 + number);
		zcreq_hold hold = take(id);

		CLAIM(zcreq_abort(context, id, -ECANCELED) == 0);
		for (unsigned i = 0; i < THREADS; i++)
			hand(&workers[i], hold);
		if (suite_random(&seed) & 1)
			owner_drop(hold);
		zcreq_turn(context, 0);
	}
	await_all(begun);
	stop();
	assert_exactly_once();
	ck_assert_uint_gt(owner_dropped, 0);
	free_all();
}
END_TEST

/* Each context lives for one volley, and is freed as soon as it allows it. */
START_TEST(a_context_is_freed_behind_the_last_drop)
{
	static const unsigned volley = 8, lives = 2000;
	uint64_t begun = 0;

	start();
	for (unsigned life = 0; life < lives; life++) {
		open_all(true);
		for (unsigned i = 0; i < volley; i++, begun++) {
			zcreq_id id = begin(i % THREADS, life * volley + i + 1);

			hand(&workers[i % THREADS], take(id));
			if (i % 3)
				CLAIM(zcreq_finish(context, id, 0) == 0);
		}
		ck_assert_int_eq(zcreq_conn_abort(conn, -EPIPE), 0);
		await_all(begun);
		free_all();
	}
	context = NULL;
	stop();
}
END_TEST

/* The owner sleeps without having turned, on a descriptor that it made while a thread was
 * about to drop. */
START_TEST(a_descriptor_that_is_made_meanwhile_misses_nothing)
{
	static const unsigned lives = 2000;

	start();
	for (unsigned life = 0; life < lives; life++) {
		zcreq_id id;

		open_all(false);
		id = begin(0, life + 1);
		hand(&workers[0], take(id));
		ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
		wait_for.fd = zcreq_context_fd(context);
		ck_assert_msg(poll(&wait_for, 1, LONG_MS) == 1, "nobody woke the owner");
		await_all(life + 1);
		free_all();
	}
	context = NULL;
	stop();
}
END_TEST

/* ---- posts ------------------------------------------------------------------ */

#define POSTS 50000 /* of each thread */

struct post {
	struct zcreq_call call;
	unsigned poster, number;
};

static struct post calls_of[THREADS][POSTS];
static pthread_barrier_t all_ready;
static unsigned last_posted[THREADS];
static uint64_t posts_run;

/* Those of one thread come in the order of its calls. */
static void run_post(struct zcreq_call *call)
{
	struct post *post = (struct post *)call;

	CLAIM(post->number == last_posted[post->poster] + 1);
	last_posted[post->poster] = post->number;
	posts_run++;
	memset(post, 0xdd, sizeof(*post)); /* it is ours again */
}

/* Nothing but posts, so that two threads meet at the head of the list. */

static void *post_all(void *arg)
{
	const unsigned poster = (unsigned)((struct worker *)arg - workers);
	struct post *posts = calls_of[poster];

	for (unsigned i = 0; i < POSTS; i++)
		posts[i] = (struct post){{run_post, NULL}, poster, i + 1};
	pthread_barrier_wait(&all_ready);
	for (unsigned i = 0; i < POSTS; i++)
		CLAIM(zcreq_post(context, &posts[i].call) == 0);
	return NULL;
}

START_TEST(posts_of_four_threads_run_once_each_and_in_order)
{
	open_all(true);
	ck_assert_int_eq(pthread_barrier_init(&all_ready, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, post_all, &workers[i]),
				 0);
	while (posts_run < (uint64_t)THREADS * POSTS) {
		ck_assert_msg(poll(&wait_for, 1, LONG_MS) == 1, "nobody woke the owner");
		zcreq_turn(context, 0);
	}
	/* as soon as the last has run: a thread may still be on its way out of its call */
	free_all();
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(workers[i].thread, NULL), 0);
	ck_assert_int_eq(pthread_barrier_destroy(&all_ready), 0);
}
END_TEST

/* A signal comes in the middle of a post, and its handler posts: the list has then another
 * head than the one that was read. Until that must have happened many times. */
#define INTERRUPTIONS 2000

static struct zcreq_call interrupting[INTERRUPTIONS];
static volatile sig_atomic_t interruptions;
static unsigned simple_runs;

static void run_simple(struct zcreq_call *call)
{
	(void)call;
	simple_runs++;
}

static void post_in_between(int signal)
{
	(void)signal;
	if (interruptions < INTERRUPTIONS &&
	    !zcreq_post(context, &interrupting[interruptions]))
		interruptions++;
}

START_TEST(a_post_in_the_middle_of_another_loses_neither)
{
	const struct itimerval often = {.it_interval.tv_usec = 20, .it_value.tv_usec = 20};
	const struct itimerval never = {.it_value.tv_usec = 0};
	static struct zcreq_call calls[1000];
	unsigned posted = 0, refused = 0;

	open_all(true);
	for (unsigned i = 0; i < INTERRUPTIONS; i++)
		interrupting[i].run = run_simple;
	ck_assert_ptr_ne(signal(SIGALRM, post_in_between), SIG_ERR);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	while (interruptions < INTERRUPTIONS) {
		/* nothing else in between, so that a good part of the signals comes in a post */
		for (unsigned i = 0; i < COUNT(calls); i++, posted++) {
			calls[i].run = run_simple;
			refused += zcreq_post(context, &calls[i]) != 0;
		}
		zcreq_turn(context, 0);
	}
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_uint_eq(refused, 0);
	zcreq_turn(context, 0);
	ck_assert_uint_eq(simple_runs, posted + INTERRUPTIONS);
	free_all();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("threads_real");
	TCase *threads = tcase_create("threads");

	tcase_set_timeout(threads, 300);
	tcase_add_loop_test(threads, i1_holds_dropped_by_four_threads_are_taken_in_once_each, 0, 2);
	tcase_add_test(threads, i3_of_claims_that_race_one_wins);
	tcase_add_test(threads, a_context_is_freed_behind_the_last_drop);
	tcase_add_test(threads, a_descriptor_that_is_made_meanwhile_misses_nothing);
	tcase_add_test(threads, posts_of_four_threads_run_once_each_and_in_order);
	tcase_add_test(threads, a_post_in_the_middle_of_another_loses_neither);
	suite_add_tcase(s, threads);
	return suite_run(s);
}
