/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ev.c - a context in a libev loop: its descriptor, and its deadline
 *
 * Three watchers. The context's descriptor and a timer wake the loop, and do nothing else;
 * before the loop sleeps, in whatever way it was woken, the context has its turn, which
 * also says until when.
 */
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>

#include <zcreq/ev.h>
#include <zcreq/stream.h>

struct zcreq_ev {
	struct ev_loop *loop; /* NULL: freed by a callback, and gone with the end of its turn */
	struct zcreq_context *context;
	bool turning;
	uint64_t deadline_ns; /* that the timer is set to */
	ev_io ready;
	ev_prepare before_sleep;
	ev_timer timer;
};

static void set_timer(struct zcreq_ev *ev, uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	if (deadline_ns == ev->deadline_ns && ev_is_active(&ev->timer))
		return;
	ev->deadline_ns = deadline_ns;
	ev_timer_stop(ev->loop, &ev->timer);
	if (deadline_ns == ZCREQ_NEVER)
		return;
	ev_timer_set(&ev->timer, (double)left_ns / 1e9, 0.);
	ev_timer_start(ev->loop, &ev->timer);
}

static void before_sleep(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	struct zcreq_ev *ev = watcher->data;
	uint64_t now_ns = zcreq_now_ns(), deadline_ns;

	(void)loop;
	(void)revents;
	ev->turning = true;
	deadline_ns = zcreq_turn(ev->context, now_ns);
	ev->turning = false;
	if (ev->loop)
		set_timer(ev, deadline_ns, now_ns);
	else
		free(ev);
}

/* To be awake is all that is wanted: before_sleep() does the rest. */
static void on_ready(struct ev_loop *loop, ev_io *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
}

int zcreq_ev_new(struct ev_loop *loop, struct zcreq_context *context, struct zcreq_ev **ev)
{
	int saved = errno, fd;
	struct zcreq_ev *made;

	if (!loop || !context || !ev)
		return -EINVAL;
	fd = zcreq_context_fd(context);
	if (fd < 0)
		return fd;
	made = calloc(1, sizeof(*made));
	/* clang holds that calloc() leaves errno alone, and would leave out what is below */
	__asm__ volatile("" ::: "memory");
	errno = saved;
	if (!made)
		return -ENOMEM;
	made->loop = loop;
	made->context = context;
	ev_io_init(&made->ready, on_ready, fd, EV_READ);
	ev_prepare_init(&made->before_sleep, before_sleep);
	ev_timer_init(&made->timer, on_timer, 0., 0.);
	made->before_sleep.data = made;
	ev_io_start(loop, &made->ready);
	ev_prepare_start(loop, &made->before_sleep);
	ev_unref(loop); /* the descriptor keeps the loop going, and one is enough */
	*ev = made;
	return 0;
}

void zcreq_ev_free(struct zcreq_ev *ev)
{
	if (!ev)
		return;
	ev_io_stop(ev->loop, &ev->ready);
	ev_ref(ev->loop);
	ev_prepare_stop(ev->loop, &ev->before_sleep);
	ev_timer_stop(ev->loop, &ev->timer);
	ev->loop = NULL;
	if (!ev->turning)
		free(ev);
}
