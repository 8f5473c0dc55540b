/* SPDX-License-Identifier: BSD-2-Clause */
#include "ev/ev_scene.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/suite.h"

struct ev_loop *loop;
struct zcreq_context *context;
struct zcreq_ev *ev;
unsigned turns;
static ev_prepare counter;
static unsigned open_ends; /* not closed yet */

struct end ends[3];
static char memory[BIG];

static void count(struct ev_loop *l, ev_prepare *watcher, int revents)
{
	(void)l;
	(void)watcher;
	(void)revents;
	turns++;
}

static void stop(struct ev_loop *l, ev_timer *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	ev_break(l, EVBREAK_ALL);
}

void nothing(struct ev_loop *l, ev_timer *watcher, int revents)
{
	(void)l;
	(void)watcher;
	(void)revents;
}

bool run_for(double ms)
{
	ev_timer limit;

	ev_timer_init(&limit, stop, ms / 1e3, 0.);
	ev_now_update(loop);
	ev_timer_start(loop, &limit);
	ev_unref(loop);
	ev_run(loop, 0);
	if (!ev_is_active(&limit)) {
		ev_ref(loop);
		return false;
	}
	ev_ref(loop);
	ev_timer_stop(loop, &limit);
	return true;
}

void released(zcreq_id id, int status, void *arg)
{
	struct end *end = arg;

	(void)id;
	(void)status;
	end->released++;
	if (end->on_released)
		end->on_released(end);
}

const struct zcreq_request_hooks ops = { .released = released };

static void on_abort(struct zcreq_conn *conn, int status, void *arg)
{
	struct end *end = arg;

	(void)conn;
	end->aborted++;
	end->status = status;
}

void free_end(struct end *end)
{
	zcreq_conn_free(end->conn);
	end->conn = NULL;
	if (!--open_ends)
		ev_break(loop, EVBREAK_ALL);
}

static void on_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct end *end = arg;

	(void)conn;
	end->closed++;
	end->status = status;
	free_end(end);
}

static const struct zcreq_conn_hooks hooks = { .abort = on_abort, .closed = on_closed };

void pair(int fd[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert(!bind(listener, (struct sockaddr *)&address, len) && !listen(listener, 1));
	ck_assert(!getsockname(listener, (struct sockaddr *)&address, &len));
	ck_assert(!connect(fd[0], (struct sockaddr *)&address, len));
	fd[1] = accept(listener, NULL, NULL);
	ck_assert_int_ge(fd[1], 0);
	close(listener);
}

void open_end(struct end *end)
{
	struct zcreq_stream_options options = { .size = sizeof(options), .hooks = &hooks,
						.arg = end };
	int fd[2];

	pair(fd);
	memset(end, 0, sizeof(*end));
	options.fd = fd[0];
	end->peer = fd[1];
	ck_assert_int_eq(zcreq_stream_open(context, &options, &end->conn), 0);
	open_ends++;
}

void send_from(struct end *end, size_t len)
{
	struct iovec iov = { memory, len };

	ck_assert_int_eq(zcreq_send(end->conn, &ops, end, &iov, 1, 0, NULL), 0);
}

void reset_peer(struct end *end)
{
	struct linger linger = { 1, 0 };

	ck_assert(!setsockopt(end->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(end->peer);
	end->peer = -1;
}

void drink(struct ev_loop *l, ev_io *watcher, int revents)
{
	static char sink[1 << 18];
	ssize_t len = recv(watcher->fd, sink, sizeof(sink), MSG_DONTWAIT);

	(void)revents;
	if (len == 0 || (len < 0 && errno != EAGAIN))
		ev_io_stop(l, watcher);
}

void scene_setup(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_ptr_nonnull(loop);
	ck_assert_int_eq(zcreq_context_new(NULL, &context), 0);
	ck_assert_int_eq(zcreq_ev_new(loop, context, &ev), 0);
	ev_prepare_init(&counter, count);
	ev_prepare_start(loop, &counter);
	ev_unref(loop);
	turns = 0;
	open_ends = 0;
}

void scene_teardown(void)
{
	zcreq_ev_free(ev);
	ck_assert_int_eq(zcreq_context_free(context), 0);
	ev_ref(loop);
	ev_prepare_stop(loop, &counter);
	ev_loop_destroy(loop);
}
