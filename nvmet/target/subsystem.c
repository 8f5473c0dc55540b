/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subsystem.c - threads: started, woken, told of connections, ended
 *
 * Owns: which thread gets a connection, and the figures of all of them together.
 * Never: touches another thread's connections.
 *
 * Connections go round: the queues of a host come one after the other, so they are
 * spread evenly, which a hash of their addresses (SO_REUSEPORT) is not for a few.
 */
#include "subsystem.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conn.h"
#include "ctrl.h"

/* Connections of a thread that its page of statistics has room for. */
#define PAGE_CONNS_MAX 256

/* A descriptor on its way to its thread. */
struct arrival {
	STAILQ_ENTRY(arrival) link;
	int fd;
	struct sockaddr_storage peer;
	unsigned asked; /* threads that had no room for it */
};

void subsystem_wake_others(const struct target *target)
{
	struct subsystem *subsystem = target->subsystem;
	unsigned i;

	for (i = 0; i < subsystem->thread_count; i++)
		if (subsystem->threads[i] != target)
			target_wake(subsystem->threads[i]);
}

/* To another thread. */
static void send_to(struct target *target, const struct arrival *arrival)
{
	struct arrival *sent = malloc(sizeof(*sent));

	if (!sent) {
		close(arrival->fd);
		return;
	}
	*sent = *arrival;
	pthread_mutex_lock(&target->subsystem->lock);
	STAILQ_INSERT_TAIL(&target->arrivals, sent, link);
	pthread_mutex_unlock(&target->subsystem->lock);
	target_wake(target);
}

/* On @target's own thread. Without room here the next thread is asked, each once. */
static void arrive(struct target *target, struct arrival *arrival)
{
	const struct subsystem *subsystem = target->subsystem;

	if (conn_accept(target, arrival->fd, &arrival->peer))
		return;
	if (++arrival->asked == subsystem->thread_count)
		close(arrival->fd);
	else
		send_to(subsystem->threads[(target->number + 1) % subsystem->thread_count], arrival);
}

void subsystem_hand_over(struct subsystem *subsystem, int fd, const struct sockaddr_storage *peer)
{
	struct target *first = subsystem->threads[0];
	struct target *target = subsystem->threads[first->next++ % subsystem->thread_count];
	struct arrival arrival = { .fd = fd, .peer = *peer };

	if (target == first)
		arrive(target, &arrival);
	else
		send_to(target, &arrival);
}

/* Nothing is accepted any more once the end has begun; subsystem_deinit() looks once more. */
static void take_arrivals(struct target *target, bool ending)
{
	struct arrival_list arrivals = STAILQ_HEAD_INITIALIZER(arrivals);
	struct arrival *arrival;

	pthread_mutex_lock(&target->subsystem->lock);
	STAILQ_CONCAT(&arrivals, &target->arrivals);
	pthread_mutex_unlock(&target->subsystem->lock);
	while ((arrival = STAILQ_FIRST(&arrivals))) {
		STAILQ_REMOVE_HEAD(&arrivals, link);
		if (ending)
			close(arrival->fd);
		else
			arrive(target, arrival);
		free(arrival);
	}
}

/* ---- figures ------------------------------------------------------------------ */

uint64_t subsystem_blocks_used(const struct subsystem *subsystem)
{
	uint64_t used = 0;
	unsigned i;

	for (i = 0; i < subsystem->thread_count; i++)
		used += pool_used(&subsystem->threads[i]->pool);
	return used;
}

void subsystem_health(const struct subsystem *subsystem, struct health *sum)
{
	const struct health *health;
	unsigned i;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < subsystem->thread_count; i++) {
		health = &subsystem->threads[i]->health;
		sum->reads += __atomic_load_n(&health->reads, __ATOMIC_RELAXED);
		sum->writes += __atomic_load_n(&health->writes, __ATOMIC_RELAXED);
		sum->read_sectors += __atomic_load_n(&health->read_sectors, __ATOMIC_RELAXED);
		sum->written_sectors += __atomic_load_n(&health->written_sectors, __ATOMIC_RELAXED);
		sum->media_errors += __atomic_load_n(&health->media_errors, __ATOMIC_RELAXED);
		sum->critical_warning |= __atomic_load_n(&health->critical_warning,
							 __ATOMIC_RELAXED);
	}
	sum->started_ns = subsystem->threads[0]->health.started_ns;
}

static void tell(const struct totals *totals)
{
	say("stats controllers=%u queues=%u connections=%u begun=%" PRIu64 " released=%" PRIu64
	    " inflight=%" PRIu64 " quarantined=%" PRIu64 " stale=%" PRIu64 " blocks_used=%" PRIu64,
	    totals->controllers, totals->queues, totals->connections, totals->stats.begun,
	    totals->stats.released, totals->stats.requests_now, totals->stats.quarantined_now,
	    totals->stats.stale_handles, totals->blocks_used);
}

/* What everything on this thread waits for: a line of the log for each of the library's. */
static void tell_why(const struct target *target)
{
	static _Thread_local char text[ZCREQ_EXPLAIN_MAX];
	char *line, *rest = NULL;

	if (zcreq_context_explain(target->context, ZCREQ_TEXT, text, sizeof(text)) < 0)
		return;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		say("explain %s", line);
}

/* Each thread adds its own once in a round, and the last one prints. */
static void add_stats(struct target *target)
{
	struct subsystem *subsystem = target->subsystem;
	bool adds;
	struct totals *totals = &subsystem->totals;
	struct zcreq_stats stats = { 0 };
	int err = zcreq_context_stats(target->context, &stats, sizeof(stats));

	pthread_mutex_lock(&subsystem->lock);
	adds = target->totals_round != subsystem->totals_round;
	if (adds) {
		target->totals_round = subsystem->totals_round;
		if (err == 0) {
			totals->stats.begun += stats.begun;
			totals->stats.released += stats.released;
			totals->stats.requests_now += stats.requests_now;
			totals->stats.quarantined_now += stats.quarantined_now;
			totals->stats.stale_handles += stats.stale_handles;
		}
		totals->connections += target->conn_count;
		totals->blocks_used += pool_used(&target->pool);
		if (!--subsystem->totals_left)
			tell(totals);
	}
	pthread_mutex_unlock(&subsystem->lock);
	if (adds)
		tell_why(target);
}

void subsystem_tell_stats(struct target *target)
{
	struct subsystem *subsystem = target->subsystem;
	const struct ctrl *ctrl;

	pthread_mutex_lock(&subsystem->lock);
	if (!subsystem->totals_left) {
		memset(&subsystem->totals, 0, sizeof(subsystem->totals));
		TAILQ_FOREACH(ctrl, &subsystem->ctrls, in_subsystem) {
			subsystem->totals.controllers++;
			subsystem->totals.queues += ctrl->conns;
		}
		subsystem->totals_left = subsystem->thread_count;
		subsystem->totals_round++;
	}
	pthread_mutex_unlock(&subsystem->lock);
	subsystem_wake_others(target);
	add_stats(target);
}

/* ---- the end ------------------------------------------------------------------ */

/* The loop ends where all that is left is this thread; the first waits for all. */
void target_check_done(struct target *target)
{
	struct subsystem *subsystem = target->subsystem;
	bool first = target == subsystem->threads[0];

	if (!target->ending || !TAILQ_EMPTY(&target->conns))
		return;
	if (!target->finished) {
		target->finished = true;
		__atomic_fetch_add(&subsystem->finished, 1, __ATOMIC_RELAXED);
		if (!first)
			target_wake(subsystem->threads[0]);
	}
	if (!first || __atomic_load_n(&subsystem->finished, __ATOMIC_RELAXED) ==
			      subsystem->thread_count)
		target_stop(target);
}

static void follow_end(struct target *target, enum ending ending)
{
	struct conn *conn;

	if (ending == ENDING_GIVE_UP)
		target_stop(target);
	if (target->ending != ending) {
		target->ending = ending;
		TAILQ_FOREACH(conn, &target->conns, in_target) {
			if (ending == ENDING_DRAIN)
				conn_drain(conn, target->options.drain_ms);
			else if (ending == ENDING_ABORT)
				conn_abort(conn, -ECANCELED);
		}
	}
	target_check_done(target);
}

void subsystem_end(struct target *target, enum ending ending)
{
	__atomic_store_n(&target->subsystem->ending, ending, __ATOMIC_RELEASE);
	subsystem_wake_others(target);
	follow_end(target, ending);
}

void target_look(struct target *target)
{
	enum ending ending = __atomic_load_n(&target->subsystem->ending, __ATOMIC_ACQUIRE);

	take_arrivals(target, ending != ENDING_NOT);
	pool_collect(&target->pool);
	ctrls_look(target);
	add_stats(target);
	follow_end(target, ending);
}

/* ---- threads ------------------------------------------------------------------ */

/* --stats-page */
static int map_pages(struct subsystem *subsystem, const struct options *options)
{
	uint32_t conns = options->connections_max;
	int err;

	if (!options->stats_page)
		return 0;
	subsystem->page_bytes = zcreq_page_bytes(conns < PAGE_CONNS_MAX ? conns : PAGE_CONNS_MAX);
	err = zcreq_page_map(options->stats_page, options->threads * subsystem->page_bytes,
			     &subsystem->pages);
	if (err < 0)
		fprintf(stderr, "zcreq-nvmet: cannot make %s\n", options->stats_page);
	return err;
}

static void unmap_pages(struct subsystem *subsystem)
{
	if (subsystem->pages)
		munmap(subsystem->pages, subsystem->thread_count * subsystem->page_bytes);
}

int subsystem_init(struct subsystem *subsystem, const struct options *options)
{
	struct target *target;
	unsigned i;
	int err;

	memset(subsystem, 0, sizeof(*subsystem));
	pthread_mutex_init(&subsystem->lock, NULL);
	TAILQ_INIT(&subsystem->ctrls);
	err = map_pages(subsystem, options);
	for (i = 0; i < options->threads && err == 0; i++) {
		/* what a thread counts shares no cache line with another's */
		target = aligned_alloc(_Alignof(struct target), sizeof(*target));
		if (!target)
			return -ENOMEM;
		memset(target, 0, sizeof(*target));
		target->subsystem = subsystem;
		target->number = i;
		subsystem->threads[subsystem->thread_count++] = target;
		err = target_init(target, options);
	}
	return err;
}

static void *thread(void *arg)
{
	target_run(arg);
	return NULL;
}

/* Signals are the first thread's. */
static int start(struct subsystem *subsystem, unsigned *started)
{
	sigset_t all, before;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (*started = 1; *started < subsystem->thread_count && err == 0; *started += !err)
		err = pthread_create(&subsystem->threads[*started]->thread, NULL, thread,
				     subsystem->threads[*started]);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int subsystem_run(struct subsystem *subsystem)
{
	struct target *first = subsystem->threads[0];
	unsigned started;
	int err = start(subsystem, &started);

	if (err < 0)
		subsystem_end(first, ENDING_GIVE_UP);
	else
		target_serve(first);
	while (--started)
		pthread_join(subsystem->threads[started]->thread, NULL);
	return err;
}

void subsystem_deinit(struct subsystem *subsystem)
{
	struct target *first = subsystem->threads[0];
	unsigned i;

	for (i = 0; i < subsystem->thread_count; i++)
		take_arrivals(subsystem->threads[i], true);
	for (i = 0; i < subsystem->thread_count; i++)
		if (!target_end(subsystem->threads[i]))
			return; /* the end of the process does the rest */
	while (first && first->store_count)
		store_close(first->stores[--first->store_count], &first->pool);
	for (i = 0; i < subsystem->thread_count; i++) {
		pool_deinit(&subsystem->threads[i]->pool);
		free(subsystem->threads[i]);
	}
	unmap_pages(subsystem);
	pthread_mutex_destroy(&subsystem->lock);
}
