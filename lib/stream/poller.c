/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poller.c - one descriptor for any event loop: an epoll that a turn reads
 *
 * Streams stand in it by what zcreq_events() says, and so do the descriptors of sources
 * and the one by which other threads wake the context's. It is readable when a turn has
 * something to do, so a program's loop needs to know nothing of the sockets behind it.
 *
 * An entry with no event in its mask reports exactly errors and hang-up: that is what a
 * stream waits for that has nothing to send. An entry belongs to the open file and not
 * to the number, so one is taken out before its descriptor is closed: with a duplicate
 * somewhere else, closing would leave it here.
 *
 * Entries without a connection only wake: edge-triggered, so that nobody has to read their
 * counters. Everything else is level-triggered, and served until it is quiet.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/poller.h"
#include "core/threads.h"
#include "stream/poller.h"
#include "stream/socket.h"

#define BATCH 64

/* As epoll_ctl(2), but 0 or a negative errno, with errno as the caller left it. */
static int control(const struct zcreq_poller *poller, int op, int fd, struct epoll_event *entry)
{
	int saved = errno;
	int ret = epoll_ctl(poller->fd, op, fd, entry) < 0 ? -errno : 0;

	errno = saved;
	return ret;
}

/* The descriptor wakes the loop, and nothing else. */
static int wake_by(const struct zcreq_poller *poller, int fd)
{
	struct epoll_event entry = {.events = EPOLLIN | EPOLLET};

	return control(poller, EPOLL_CTL_ADD, fd, &entry);
}

static bool poller_take(struct zcreq_poller *poller)
{
	struct epoll_event events[BATCH];
	int saved = errno, count = epoll_wait(poller->fd, events, BATCH, 0);
	bool more = count == BATCH;

	errno = saved;
	for (int i = 0; i < count; i++) {
		struct zcreq_conn *conn = events[i].data.ptr;

		if (!conn) /* it is awake, which is all that was wanted */
			continue;
		/* bits of epoll are bits of poll */
		zcreq_stream_process(zcreq_stream_of(conn), (short)events[i].events);
		more = more || events[i].events & EPOLLIN;
	}
	return more;
}

/* Has epoll wait for what a connection wants: 0 or a negative errno. */
static int tell(const struct zcreq_poller *poller, struct zcreq_conn *conn)
{
	short events = zcreq_stream_events(zcreq_stream_of(conn));
	struct epoll_event entry = {.data.ptr = conn};
	int op = !events ? EPOLL_CTL_DEL : conn->told_events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int ret;

	if (events == conn->told_events)
		return 0;
	/* POLLERR is not for the mask: epoll adds it */
	entry.events = (events & POLLOUT ? EPOLLOUT : 0) | (events & POLLIN ? EPOLLIN : 0);
	ret = control(poller, op, zcreq_stream_of(conn)->fd, &entry);
	if (!ret)
		conn->told_events = events;
	return ret;
}

static uint64_t poller_follow(struct zcreq_poller *poller)
{
	struct zcreq_conn_list *changed = &poller->context->changed;
	struct zcreq_conn *conn, *refused = NULL;

	while ((conn = TAILQ_FIRST(changed)) && conn != refused) {
		zcreq_conn_tell(poller->context);
		if (!tell(poller, conn))
			continue;
		zcreq_conn_changed(conn);
		if (!refused)
			refused = conn;
	}
	return refused ? poller->context->now_ns + ZCREQ_RETRY_NS : ZCREQ_NEVER;
}

static void poller_free(struct zcreq_poller *poller)
{
	close(poller->fd);
	zcreq_free(&poller->context->allocator, poller);
}

static const struct zcreq_poller_ops by_epoll = {
	.take = poller_take,
	.follow = poller_follow,
	.free = poller_free,
};

void zcreq_poller_join(struct zcreq_stream *stream)
{
	/* of another transport's descriptor only its owner knows what to wait for */
	if (stream->ops == &zcreq_kernel_socket)
		zcreq_conn_watch(&stream->conn, true);
}

void zcreq_poller_leave(struct zcreq_stream *stream)
{
	struct zcreq_conn *conn = &stream->conn;

	if (conn->told_events)
		control(conn->context->poller, EPOLL_CTL_DEL, stream->fd, NULL);
	conn->told_events = 0;
	zcreq_conn_watch(conn, false);
}

/* ---- what other threads wake ---- */

/* A counter that is full is readable as well, and nothing else can go wrong. */
static void wake(int fd)
{
	const eventfd_t one = 1;
	int saved = errno;

	(void)!write(fd, &one, sizeof(one));
	errno = saved;
}

static void close_it(int fd)
{
	close(fd);
}

static const struct zcreq_wake_ops by_eventfd = {
	.wake = wake,
	.close = close_it,
};

/* Drops and posts wake the poller from now on. */
static int wake_by_threads(const struct zcreq_poller *poller, struct zcreq_threads *threads)
{
	int saved = errno, fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int ret = fd < 0 ? -errno : wake_by(poller, fd);

	if (!ret)
		zcreq_threads_wake_by(threads, &by_eventfd, fd);
	else if (fd >= 0)
		close(fd);
	errno = saved;
	return ret;
}

int zcreq_threads_open(struct zcreq_context *context, unsigned flags)
{
	int ret;

	if (!context || flags)
		return -EINVAL;
	if (context->threads)
		return -EALREADY;
	ret = zcreq_threads_start(context);
	if (!ret && context->poller) {
		ret = wake_by_threads(context->poller, context->threads);
		if (ret)
			zcreq_threads_free(context);
	}
	return ret;
}

/* ---- what else takes part ---- */

static int wake_by_source(const struct zcreq_poller *poller, const struct zcreq_source *source)
{
	int fd = source->fd ? source->fd(source->arg) : -ENXIO;

	if (fd == -ENXIO) /* it is looked at in each turn, and wakes nobody */
		return 0;
	return fd < 0 ? fd : wake_by(poller, fd);
}

int zcreq_source_add(struct zcreq_context *context, struct zcreq_source *source)
{
	int ret = 0;

	if (!context || !source || !source->turn || !ZCREQ_UNUSED(source))
		return -EINVAL;
	for (const struct zcreq_source *there = context->sources; there; there = there->next)
		if (there == source)
			return -EEXIST;
	if (context->poller)
		ret = wake_by_source(context->poller, source);
	if (ret)
		return ret;
	source->next = context->sources;
	context->sources = source;
	return 0;
}

int zcreq_source_remove(struct zcreq_context *context, struct zcreq_source *source)
{
	struct zcreq_source **place;
	int fd;

	if (!context || !source)
		return -EINVAL;
	for (place = &context->sources; *place != source; place = &(*place)->next)
		if (!*place)
			return -ENOENT;
	*place = source->next;
	fd = context->poller && source->fd ? source->fd(source->arg) : -1;
	if (fd >= 0)
		control(context->poller, EPOLL_CTL_DEL, fd, NULL);
	return 0;
}

/* ---- the descriptor ---- */

/* What is in the context already stands in the poller: 0 or a negative errno. */
static int gather(struct zcreq_poller *poller)
{
	struct zcreq_context *context = poller->context;
	struct zcreq_conn *conn;
	int ret = 0;

	for (struct zcreq_source *source = context->sources; source && !ret; source = source->next)
		ret = wake_by_source(poller, source);
	if (!ret && context->threads)
		ret = wake_by_threads(poller, context->threads);
	if (ret)
		return ret;
	context->poller = poller;
	TAILQ_FOREACH(conn, &context->conns, in_context) {
		if (zcreq_is_stream(conn) && zcreq_stream_of(conn)->fd >= 0)
			zcreq_poller_join(zcreq_stream_of(conn));
	}
	return 0;
}

int zcreq_context_fd(struct zcreq_context *context)
{
	struct zcreq_poller *poller;
	int saved = errno, ret;

	if (!context)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_DOES);
	if (context->poller)
		return context->poller->fd;
	poller = zcreq_calloc(&context->allocator, 1, sizeof(*poller));
	if (!poller)
		return -ENOMEM;
	poller->ops = &by_epoll;
	poller->context = context;
	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	ret = poller->fd < 0 ? -errno : gather(poller);
	errno = saved;
	if (!ret)
		return poller->fd;
	if (poller->fd >= 0)
		close(poller->fd);
	zcreq_free(&context->allocator, poller);
	return ret;
}
