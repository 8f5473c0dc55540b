/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ev.c - a context and its connections in a libev loop
 *
 * Owns: one epoll descriptor, the three watchers that serve it, and a list of the
 * tied connections, which is walked only to untie them: a turn costs what those
 * connections cost on which something has changed. Never: reads from a socket, knows
 * a request, or starts an ev_io on a connection's descriptor.
 *
 * Why an epoll descriptor inside libev's: a connection without anything to send
 * waits for POLLERR alone, and an ev_io cannot. With EV_READ it would be called for
 * all that the program reads, and would spin where the program does not read; with
 * EV_WRITE it would spin always. A level-triggered epoll entry with no event in its
 * mask reports exactly errors and hang-up. That entry belongs to the open socket,
 * so a descriptor number that is used again cannot bring an event of the old one.
 *
 * The order of a turn: events are processed as libev finds them; before it sleeps,
 * the clock is told to the context, then everything that was queued is flushed.
 */
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <zcreq/ev.h>
#include <zcreq/threads.h>
#include <zcreq/stream.h>

#define BATCH 64
#define RETRY_NS ((uint64_t)10000000) /* as a stream that is short of memory */

struct zcreq_ev_conn {
	struct zcreq_ev_conn *prev, *next;
	struct zcreq_ev_conn *again; /* the next of those to be told again */
	struct zcreq_ev *ev;
	struct zcreq_conn *conn;
	short events; /* what epoll was told; 0 is nothing, not even an entry */
};

struct zcreq_ev_engine {
	struct zcreq_ev_engine *next;
	struct zcreq_ev *ev;
	int fd;
	int (*flush)(void *arg);
	void *arg;
};

struct zcreq_ev {
	struct ev_loop *loop;
	struct zcreq_context *context;
	struct zcreq_ev_conn *conns;
	struct zcreq_ev_engine *engines;
	int epoll;
	int threads; /* the descriptor of other threads' drops, once it is watched; or -1 */
	ev_io ready;
	ev_prepare before_sleep;
	ev_timer timer;
	uint64_t deadline_ns; /* that the timer is set to */
	struct epoll_event batch[BATCH];
	int batch_left; /* entries at the end of the batch that are still to do */
	int batch_count;
	bool busy;  /* inside one of the functions below, which still needs this */
	bool freed; /* by a callback meanwhile */
};

/* As calloc(3), with errno as the caller left it. */
static void *allocate(size_t size)
{
	int saved = errno;
	void *memory = calloc(1, size);

	errno = saved;
	return memory;
}

/* As epoll_ctl(2), but 0 or a negative errno, with errno as the caller left it. */
static int control(const struct zcreq_ev *ev, int op, int fd, struct epoll_event *entry)
{
	int saved = errno;
	int ret = epoll_ctl(ev->epoll, op, fd, entry) < 0 ? -errno : 0;

	errno = saved;
	return ret;
}

/* Makes epoll wait for what the connection wants. On an error a later turn
 * tries again. */
static int follow(struct zcreq_ev_conn *tie)
{
	short events = zcreq_events(tie->conn);
	struct epoll_event entry = { .data.ptr = tie };
	int fd, op, ret;

	if (events == tie->events)
		return 0;
	fd = zcreq_stream_fd(tie->conn);
	if (fd < 0) { /* closed: the entry went with it */
		tie->events = 0;
		return 0;
	}
	op = !events ? EPOLL_CTL_DEL : tie->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	/* POLLERR is not for the mask: epoll adds it */
	entry.events = events & POLLOUT ? EPOLLOUT : 0;
	ret = control(tie->ev, op, fd, &entry);
	if (!ret)
		tie->events = events;
	return ret;
}

/* The descriptor wakes the loop. Without a pointer and without reading: being awake is
 * all that is wanted. */
static int wake_by(const struct zcreq_ev *ev, int fd)
{
	struct epoll_event entry = { .events = EPOLLIN | EPOLLET };

	return control(ev, EPOLL_CTL_ADD, fd, &entry);
}

/* Drops of other threads wake the loop, from when the context allows them; dispatch
 * takes them. */
static int follow_threads(struct zcreq_ev *ev)
{
	int fd = zcreq_threads_fd(ev->context), ret;

	if (fd < 0)
		return 0;
	ret = wake_by(ev, fd);
	if (!ret)
		ev->threads = fd;
	return ret;
}

static void free_now(struct zcreq_ev *ev)
{
	close(ev->epoll);
	free(ev);
}

/* Between these two, callbacks may free the struct; it goes when leave() says so. */
static void enter(struct zcreq_ev *ev)
{
	ev->busy = true;
}

static void leave(struct zcreq_ev *ev)
{
	ev->busy = false;
	if (ev->freed)
		free_now(ev);
}

static void set_timer(struct zcreq_ev *ev, uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t left = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	if (deadline_ns == ev->deadline_ns && ev_is_active(&ev->timer))
		return;
	ev->deadline_ns = deadline_ns;
	ev_timer_stop(ev->loop, &ev->timer);
	if (deadline_ns == ZCREQ_NEVER)
		return;
	ev_timer_set(&ev->timer, (double)left / 1e9, 0.);
	ev_timer_start(ev->loop, &ev->timer);
}

/* Has epoll wait for what the changed ones want now; in front of that, with @flush,
 * sends what was queued on them. False: some are to be told again, in a later turn. */
static bool follow_changed(const struct zcreq_ev *ev, bool flush)
{
	struct zcreq_ev_conn *tie, *again = NULL;
	bool all = true;

	while ((tie = zcreq_events_next(ev->context))) {
		if (flush && zcreq_events(tie->conn) & POLLOUT)
			zcreq_flush(tie->conn);
		if (follow(tie) < 0) {
			zcreq_events_watch(tie->conn, NULL); /* not twice in this loop */
			tie->again = again;
			again = tie;
		}
	}
	for (; again; again = again->again) {
		zcreq_events_watch(again->conn, again);
		all = false;
	}
	return all;
}

/* No callback in here. True: there may be more to do. */
static bool flush_engines(const struct zcreq_ev *ev)
{
	const struct zcreq_ev_engine *engine;
	bool more = false;

	for (engine = ev->engines; engine; engine = engine->next)
		more |= engine->flush(engine->arg) > 0;
	return more;
}

static void at_the_latest(uint64_t *deadline_ns, uint64_t when_ns)
{
	if (*deadline_ns > when_ns)
		*deadline_ns = when_ns;
}

/*
 * Flushes, waits for what is missing, and calls back. True: callbacks ran, which may have
 * queued more; it is not in the deadline.
 */
static bool one_round(struct zcreq_ev *ev, uint64_t now_ns, uint64_t *deadline_ns)
{
	*deadline_ns = zcreq_tick(ev->context, now_ns);
	follow_changed(ev, true);
	if (flush_engines(ev))
		at_the_latest(deadline_ns, now_ns);
	if (ev->threads < 0 && follow_threads(ev) < 0)
		at_the_latest(deadline_ns, now_ns + RETRY_NS);
	if (!follow_changed(ev, false))
		at_the_latest(deadline_ns, now_ns + RETRY_NS);
	return zcreq_dispatch(ev->context) > 0;
}

static void before_sleep(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	struct zcreq_ev *ev = watcher->data;
	uint64_t now_ns = zcreq_now_ns(), deadline_ns;

	(void)loop;
	(void)revents;
	enter(ev);
	/* a copy is released by the flush that makes it, so a second round is usual; what
	 * goes on longer than that takes its turn with the rest of the loop */
	if (one_round(ev, now_ns, &deadline_ns) && !ev->freed &&
	    one_round(ev, now_ns, &deadline_ns))
		deadline_ns = now_ns;
	if (!ev->freed)
		set_timer(ev, deadline_ns, now_ns);
	leave(ev);
}

/* The end of the sleep is all that is wanted: before_sleep() does the rest. */
static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
}

static void on_ready(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct zcreq_ev *ev = watcher->data;
	struct zcreq_ev_conn *tie;
	int i, count;

	(void)loop;
	(void)revents;
	count = epoll_wait(ev->epoll, ev->batch, BATCH, 0);
	enter(ev);
	ev->batch_count = count > 0 ? count : 0;
	for (i = 0; i < ev->batch_count; i++) {
		tie = ev->batch[i].data.ptr;
		ev->batch_left = ev->batch_count - i - 1;
		if (tie) /* not an engine's; bits of epoll are bits of poll */
			zcreq_process(tie->conn, (short)ev->batch[i].events);
	}
	ev->batch_count = 0;
	leave(ev);
}

int zcreq_ev_new(struct ev_loop *loop, struct zcreq_context *context, struct zcreq_ev **ev)
{
	int saved = errno, err;
	struct zcreq_ev *made;

	if (!loop || !context || !ev)
		return -EINVAL;
	made = allocate(sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (made->epoll < 0) {
		err = -errno;
		errno = saved;
		free(made);
		return err;
	}
	made->loop = loop;
	made->context = context;
	made->threads = -1;
	ev_io_init(&made->ready, on_ready, made->epoll, EV_READ);
	ev_prepare_init(&made->before_sleep, before_sleep);
	ev_timer_init(&made->timer, on_timer, 0., 0.);
	made->ready.data = made->before_sleep.data = made->timer.data = made;
	ev_io_start(loop, &made->ready);
	ev_unref(loop);
	ev_prepare_start(loop, &made->before_sleep);
	ev_unref(loop);
	*ev = made;
	return 0;
}

void zcreq_ev_free(struct zcreq_ev *ev)
{
	if (!ev)
		return;
	while (ev->conns)
		zcreq_ev_conn_free(ev->conns);
	while (ev->engines)
		zcreq_ev_engine_free(ev->engines);
	ev_ref(ev->loop);
	ev_io_stop(ev->loop, &ev->ready);
	ev_ref(ev->loop);
	ev_prepare_stop(ev->loop, &ev->before_sleep);
	ev_timer_stop(ev->loop, &ev->timer);
	ev->freed = true;
	if (!ev->busy)
		free_now(ev);
}

int zcreq_ev_conn_new(struct zcreq_ev *ev, struct zcreq_conn *conn, struct zcreq_ev_conn **tie)
{
	struct zcreq_ev_conn *made;
	int fd, err;

	if (!ev || !conn || !tie || zcreq_conn_context(conn) != ev->context)
		return -EINVAL;
	fd = zcreq_stream_fd(conn);
	if (fd < 0)
		return fd;
	made = allocate(sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->ev = ev;
	made->conn = conn;
	err = follow(made);
	if (err < 0) {
		free(made);
		return err;
	}
	made->next = ev->conns;
	if (made->next)
		made->next->prev = made;
	ev->conns = made;
	zcreq_events_watch(conn, made);
	ev_ref(ev->loop);
	*tie = made;
	return 0;
}

/* A callback may untie a connection whose event is still to come in this batch. */
static void forget_events(struct zcreq_ev *ev, const struct zcreq_ev_conn *tie)
{
	int i;

	for (i = ev->batch_count - ev->batch_left; i < ev->batch_count; i++)
		if (ev->batch[i].data.ptr == tie)
			ev->batch[i].data.ptr = NULL;
}

void zcreq_ev_conn_free(struct zcreq_ev_conn *tie)
{
	struct zcreq_ev *ev;
	int fd;

	if (!tie)
		return;
	ev = tie->ev;
	fd = zcreq_stream_fd(tie->conn);
	if (tie->events && fd >= 0)
		control(ev, EPOLL_CTL_DEL, fd, NULL);
	forget_events(ev, tie);
	zcreq_events_watch(tie->conn, NULL);
	if (tie->prev)
		tie->prev->next = tie->next;
	else
		ev->conns = tie->next;
	if (tie->next)
		tie->next->prev = tie->prev;
	ev_unref(ev->loop);
	free(tie);
}

int zcreq_ev_engine_new(struct zcreq_ev *ev, int fd, int (*flush)(void *arg), void *arg,
			struct zcreq_ev_engine **engine)
{
	struct zcreq_ev_engine *made;
	int err;

	if (!ev || fd < 0 || !flush || !engine)
		return -EINVAL;
	made = allocate(sizeof(*made));
	if (!made)
		return -ENOMEM;
	err = wake_by(ev, fd);
	if (err < 0) {
		free(made);
		return err;
	}
	*made = (struct zcreq_ev_engine){
		.next = ev->engines, .ev = ev, .fd = fd, .flush = flush, .arg = arg,
	};
	ev->engines = made;
	*engine = made;
	return 0;
}

void zcreq_ev_engine_free(struct zcreq_ev_engine *engine)
{
	struct zcreq_ev_engine **place;

	if (!engine)
		return;
	control(engine->ev, EPOLL_CTL_DEL, engine->fd, NULL);
	for (place = &engine->ev->engines; *place != engine; place = &(*place)->next)
		;
	*place = engine->next;
	free(engine);
}
