/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * work.c - commands whose work is long: a slice of it in each turn of the loop
 *
 * Owns: the order of those that work, which go round, and how long a turn may be kept for
 * them. Never: knows what a slice does.
 *
 * The watcher is an idle one of the highest priority: it runs in each turn, whatever else is
 * there to do, and keeps the loop from sleeping. (A timer that is due at once would sleep a
 * millisecond.)
 */
#include "conn.h"

#define TURN_NS UINT64_C(200000) /* for all of them; a slice that has begun is ended */

static void on_turn(struct ev_loop *loop, ev_idle *watcher, int revents)
{
	struct target *target = watcher->data;
	uint64_t end = zcreq_now_ns() + TURN_NS;
	struct task *task;

	(void)revents;
	while ((task = TAILQ_FIRST(&target->working)) && zcreq_now_ns() < end) {
		TAILQ_REMOVE(&target->working, task, in_queue);
		TAILQ_INSERT_TAIL(&target->working, task, in_queue);
		task->slice(task);
	}
	if (TAILQ_EMPTY(&target->working))
		ev_idle_stop(loop, watcher);
}

void work_init(struct target *target)
{
	TAILQ_INIT(&target->working);
	ev_idle_init(&target->work, on_turn);
	ev_set_priority(&target->work, EV_MAXPRI);
	target->work.data = target;
}

void task_work(struct task *task, void (*slice)(struct task *task))
{
	struct target *target = task->conn->target;

	task->slice = slice;
	task_set_working(task);
	slice(task);
	if (!TAILQ_EMPTY(&target->working))
		ev_idle_start(target->loop, &target->work);
}
