/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * zsock.h - the parts of the module: sockets, what they have lent, groups, and who waits
 *
 *	module.c  the table that SPDK is given, and the options
 *	connect.c how a socket is made
 *	sock.c    what SPDK calls of one socket
 *	group.c   what it calls of a group of them, and the turns
 *	life.c    the stream of one socket, and every request that it has not given back
 *	reaper.c  a thread for what still waits after its socket was closed
 *
 * A socket has a context of its own. SPDK moves sockets from group to group and from thread to
 * thread, with requests in flight, and a stream cannot leave its context; so what moves is the
 * context. All of it belongs to the thread that has the socket, and after the close to the
 * reaper.
 */
#ifndef ZCREQ_SPDK_ZSOCK_H
#define ZCREQ_SPDK_ZSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <spdk_internal/sock_module.h>
#include <zcreq/zcreq.h>

/* The memory of one request: lent from the send on, until there is proof. */
struct lend {
	TAILQ_ENTRY(lend) link;
	struct life *life;
	struct spdk_sock_request *request; /* NULL when it was called back without proof */
	int status;
};

TAILQ_HEAD(lends, lend);
TAILQ_HEAD(requests, spdk_sock_request);

enum life_phase {
	LIFE_OPEN,
	LIFE_ABORTING, /* the kernel still has memory: SPDK is not told yet */
	LIFE_ENDED,    /* nothing is lent any more, or it is in quarantine */
};

/* A stream. It outlives its socket, if the kernel still has some of its memory. */
struct life {
	struct zcreq_context *context;
	struct zcreq_conn *conn;
	struct zsock *sock; /* NULL after its close */
	enum life_phase phase;
	int status; /* why, from LIFE_ABORTING on */
	uint64_t deadline_ns;
	struct lends lent, done, spare;
	TAILQ_ENTRY(life) link; /* of the reaper */
};

enum zsock_phase { ZSOCK_LISTENING, ZSOCK_CONNECTING, ZSOCK_STREAM, ZSOCK_FAILED };

/* A socket's place in one of a group's lists, in which it stands once. */
struct place {
	TAILQ_ENTRY(place) link;
	struct zsock *sock;
	struct places *list; /* NULL: it is not there */
};

struct places {
	TAILQ_HEAD(, place) head;
	unsigned count;
};

struct zsock {
	struct spdk_sock base; /* first: SPDK has pointers to it */
	enum zsock_phase phase;
	int fd;     /* of a listening or connecting socket */
	int status; /* why it failed */
	struct life *life;
	struct zgroup *group;
	uint32_t watched; /* what the group's epoll asks for; 0: it is not there */
	struct place due, readable;
	TAILQ_ENTRY(zsock) member;
	struct requests waiting; /* for the connection */
	struct requests refused; /* with their errno in internal.offset */
	spdk_sock_connect_cb_fn connected;
	void *connected_arg;
	uint64_t give_up_ns;
	uint32_t connect_ms, stall_ms;
	bool zerocopy;
	char *buffer; /* what was read and not asked for yet */
	size_t buffer_bytes, start, count;
	struct sockaddr_storage here, there;
};

TAILQ_HEAD(zsocks, zsock);

static inline struct zsock *to_zsock(struct spdk_sock *sock)
{
	return (struct zsock *)sock;
}

struct zgroup {
	struct spdk_sock_group_impl base; /* first */
	int epoll;
	uint64_t deadline_ns; /* the earliest of its members */
	struct zsocks members;
	struct places due, readable;
};

/* What the environment says: see the page. */
struct zsettings {
	enum zcreq_mode mode; /* where zero-copy is on */
	uint32_t stall_ms, linger_ms, close_ms;
	bool detach;
};

extern struct zsettings zsettings;

/* life.c */
int life_open(struct zsock *sock, int fd);
/* Queues it. On an error nothing is lent, and nobody is called. */
int life_send(struct life *life, struct spdk_sock_request *request);
void life_turn(struct life *life);
/* Ends it, with proof if that comes in time; every request is on the list of those that are
 * done. */
void life_end(struct life *life);
/* After its socket has gone. */
void life_leave(struct life *life);
bool life_free(struct life *life);

/* reaper.c: turns it until it can be freed */
void reaper_take(struct life *life);

/* group.c */
void zgroup_due(struct zsock *sock);
void zgroup_readable(struct zsock *sock);
void zgroup_unwatch(struct zsock *sock);
struct spdk_sock_group_impl *zgroup_optimal(struct spdk_sock *sock,
					    struct spdk_sock_group_impl *hint);
struct spdk_sock_group_impl *zgroup_create(void);
int zgroup_add(struct spdk_sock_group_impl *group, struct spdk_sock *sock);
int zgroup_remove(struct spdk_sock_group_impl *group, struct spdk_sock *sock);
int zgroup_poll(struct spdk_sock_group_impl *group, int max, struct spdk_sock **socks);
int zgroup_close(struct spdk_sock_group_impl *group);

/* sock.c: calls back what is done. False: a callback has closed the socket, and it is gone. */
bool zsock_complete(struct zsock *sock);
bool zsock_has_done(const struct zsock *sock);

/* connect.c: is the connection there? 0, -EAGAIN, or why it failed; -EBADF: whoever was told
 * of it has closed the socket, and it is gone. */
int zsock_connected(struct zsock *sock);

#endif
