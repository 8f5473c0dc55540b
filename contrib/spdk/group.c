/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * group.c - what SPDK calls of a group of sockets, and the turns
 *
 * A poll asks the group's epoll once, turns the sockets that have something to do (they were
 * written to, something came, their time has come), calls back what is done, and then says
 * which can be read. A socket without any of it costs nothing.
 *
 * A callback may close or move any socket, this one too. So nothing is kept over a callback
 * but the group; a socket that goes leaves the lists by itself.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "zsock.h"

static struct zgroup *to_zgroup(struct spdk_sock_group_impl *group)
{
	return (struct zgroup *)group;
}

static void put(struct places *list, struct place *place)
{
	if (place->list)
		return;
	TAILQ_INSERT_TAIL(&list->head, place, link);
	list->count++;
	place->list = list;
}

static void take(struct place *place)
{
	if (!place->list)
		return;
	TAILQ_REMOVE(&place->list->head, place, link);
	place->list->count--;
	place->list = NULL;
}

static struct zsock *take_first(struct places *list)
{
	struct place *first = TAILQ_FIRST(&list->head);

	take(first);
	return first->sock;
}

void zgroup_due(struct zsock *sock)
{
	if (sock->group)
		put(&sock->group->due, &sock->due);
}

void zgroup_readable(struct zsock *sock)
{
	if (sock->group)
		put(&sock->group->readable, &sock->readable);
}

static int descriptor(const struct zsock *sock)
{
	return sock->life ? zcreq_stream_fd(sock->life->conn) : sock->fd;
}

void zgroup_unwatch(struct zsock *sock)
{
	if (sock->group && sock->watched)
		epoll_ctl(sock->group->epoll, EPOLL_CTL_DEL, descriptor(sock), NULL);
	sock->watched = 0;
}

/* What the epoll is to ask of it, as it is now. */
static int watch(struct zsock *sock)
{
	struct epoll_event event = { .data.ptr = sock };
	short wanted;

	switch (sock->phase) {
	case ZSOCK_LISTENING:
		event.events = EPOLLIN;
		break;
	case ZSOCK_CONNECTING:
		event.events = EPOLLOUT;
		break;
	case ZSOCK_STREAM:
		wanted = zcreq_events(sock->life->conn);
		if (!wanted)
			return 0; /* the abort has taken it away already */
		event.events = EPOLLIN | (wanted & POLLOUT ? (uint32_t)EPOLLOUT : 0);
		break;
	case ZSOCK_FAILED:
		return 0;
	}
	if (event.events == sock->watched)
		return 0;
	if (epoll_ctl(sock->group->epoll, sock->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD,
		      descriptor(sock), &event))
		return -errno;
	sock->watched = event.events;
	return 0;
}

/* Any group is as good as another. */
struct spdk_sock_group_impl *zgroup_optimal(struct spdk_sock *sock,
					    struct spdk_sock_group_impl *hint)
{
	(void)sock;
	(void)hint;
	return NULL;
}

struct spdk_sock_group_impl *zgroup_create(void)
{
	struct zgroup *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	group->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (group->epoll < 0) {
		free(group);
		return NULL;
	}
	group->deadline_ns = ZCREQ_NEVER;
	TAILQ_INIT(&group->members);
	TAILQ_INIT(&group->due.head);
	TAILQ_INIT(&group->readable.head);
	return &group->base;
}

/* Something to read, or an end to be told of? A socket stays on the list while it has. */
static bool to_be_told(const struct zsock *sock)
{
	return sock->count || sock->phase == ZSOCK_FAILED ||
	       (sock->life && sock->life->phase == LIFE_ENDED);
}

int zgroup_add(struct spdk_sock_group_impl *to, struct spdk_sock *added)
{
	struct zsock *sock = to_zsock(added);
	int ret;

	sock->group = to_zgroup(to);
	sock->watched = 0;
	ret = watch(sock);
	if (ret) {
		sock->group = NULL;
		return ret;
	}
	TAILQ_INSERT_TAIL(&sock->group->members, sock, member);
	zgroup_due(sock);
	if (to_be_told(sock))
		zgroup_readable(sock);
	return 0;
}

int zgroup_remove(struct spdk_sock_group_impl *from, struct spdk_sock *removed)
{
	struct zsock *sock = to_zsock(removed);

	if (sock->group != to_zgroup(from))
		return -EINVAL;
	zgroup_unwatch(sock);
	take(&sock->due);
	take(&sock->readable);
	TAILQ_REMOVE(&sock->group->members, sock, member);
	sock->group = NULL;
	return 0;
}

static void take_events(struct zgroup *group)
{
	struct epoll_event events[MAX_EVENTS_PER_POLL];
	int count = epoll_wait(group->epoll, events, MAX_EVENTS_PER_POLL, 0);

	for (int i = 0; i < count; i++) {
		struct zsock *sock = events[i].data.ptr;
		const uint32_t came = events[i].events;

		if (came & (EPOLLERR | EPOLLOUT | EPOLLHUP)) {
			/* the bits of epoll(7) are those of poll(2) */
			if (sock->life)
				zcreq_process(sock->life->conn, (short)(came & ~(uint32_t)EPOLLIN));
			zgroup_due(sock);
		}
		if (came & EPOLLIN)
			zgroup_readable(sock);
	}
}

/* Whose time has come? */
static void take_deadlines(struct zgroup *group, uint64_t now_ns)
{
	struct zsock *sock;

	if (now_ns < group->deadline_ns)
		return;
	group->deadline_ns = ZCREQ_NEVER;
	TAILQ_FOREACH(sock, &group->members, member) {
		if (!sock->life)
			continue;
		if (sock->life->deadline_ns <= now_ns)
			zgroup_due(sock);
		else if (sock->life->deadline_ns < group->deadline_ns)
			group->deadline_ns = sock->life->deadline_ns;
	}
}

/* Turns one. Afterwards it may be gone. */
static void serve(struct zgroup *group, struct zsock *sock)
{
	if (sock->phase == ZSOCK_CONNECTING) {
		int ret = zsock_connected(sock);

		if (ret == -EBADF)
			return;
		if (ret == -EAGAIN)
			zgroup_due(sock); /* its time is limited too */
	}
	if (sock->group != group)
		return; /* its callback has moved it */
	if (sock->life) {
		life_turn(sock->life);
		if (sock->life->deadline_ns < group->deadline_ns)
			group->deadline_ns = sock->life->deadline_ns;
		if (watch(sock)) {
			const int status = -errno;

			SPDK_ERRLOG("a socket cannot be watched any more: %d\n", -status);
			if (!zcreq_conn_abort(sock->life->conn, status))
				zgroup_due(sock);
		}
	}
	if (zsock_has_done(sock))
		zsock_complete(sock);
}

int zgroup_poll(struct spdk_sock_group_impl *polled, int max, struct spdk_sock **socks)
{
	struct zgroup *group = to_zgroup(polled);
	unsigned turns;
	int count = 0;

	take_events(group);
	take_deadlines(group, zcreq_now_ns());
	for (turns = group->due.count; turns && group->due.count; turns--)
		serve(group, take_first(&group->due));
	for (turns = group->readable.count; turns && count < max; turns--) {
		struct zsock *sock = take_first(&group->readable);

		socks[count++] = &sock->base;
		if (to_be_told(sock))
			zgroup_readable(sock);
	}
	return count;
}

int zgroup_close(struct spdk_sock_group_impl *closed)
{
	struct zgroup *group = to_zgroup(closed);

	close(group->epoll);
	free(group);
	return 0;
}
