/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.c - putting it together: namespaces, listeners, the loop, the end
 *
 * Owns: the order of setting up and of ending. Never: speaks to a host.
 *
 * The end is a drain with a deadline, and an abort after it; a second signal is
 * the deadline at once. The loop stops by itself when the last connection has
 * closed, because nothing is left in it that keeps it running.
 */
#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn.h"
#include "ctrl.h"

#define BACKLOG 256
#define ACCEPTS_IN_TURN 32
#define ACCEPT_PAUSE_S .1

struct store *target_namespace(const struct target *target, uint32_t nsid)
{
	return nsid >= 1 && nsid <= target->store_count ? target->stores[nsid - 1] : NULL;
}

bool target_has_write_cache(const struct target *target)
{
	unsigned i;

	for (i = 0; i < target->store_count; i++)
		if (target->stores[i]->has_write_cache)
			return true;
	return false;
}

static void on_pause_over(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct listener *listener = watcher->data;

	(void)revents;
	ev_io_start(loop, &listener->acceptable);
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	struct listener *listener = watcher->data;
	struct sockaddr_storage peer;
	socklen_t len;
	int fd, i;

	(void)revents;
	for (i = 0; i < ACCEPTS_IN_TURN; i++) {
		len = sizeof(peer);
		fd = accept4(watcher->fd, (struct sockaddr *)&peer, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conn_accept(listener->target, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			/* it stays readable: wait for somebody to leave */
			ev_io_stop(loop, watcher);
			ev_timer_set(&listener->pause, ACCEPT_PAUSE_S, 0.);
			ev_timer_start(loop, &listener->pause);
		}
		return;
	}
}

static int listen_on(const struct sockaddr_storage *address, socklen_t len)
{
	int fd, one = 1, err;

	fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, BACKLOG) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int listener_init(struct target *target, const char *text)
{
	struct listener *listener = &target->listeners[target->listener_count];
	int fd;

	listener->target = target;
	fd = address_parse(text, &listener->address, &listener->address_len);
	if (fd == 0)
		fd = listen_on(&listener->address, listener->address_len);
	if (fd < 0) {
		fprintf(stderr, "zcreq-nvmet: cannot listen on %s: %s\n", text, strerror(-fd));
		return fd;
	}
	/* port 0 was a wish for any */
	getsockname(fd, (struct sockaddr *)&listener->address, &listener->address_len);
	ev_io_init(&listener->acceptable, on_acceptable, fd, EV_READ);
	ev_timer_init(&listener->pause, on_pause_over, ACCEPT_PAUSE_S, 0.);
	listener->acceptable.data = listener->pause.data = listener;
	ev_io_start(target->loop, &listener->acceptable);
	target->listener_count++;
	return 0;
}

static void close_listeners(struct target *target)
{
	struct listener *listener;

	while (target->listener_count) {
		listener = &target->listeners[--target->listener_count];
		ev_io_stop(target->loop, &listener->acceptable);
		ev_timer_stop(target->loop, &listener->pause);
		close(listener->acceptable.fd);
	}
}

/* The kernel still reads what a connection sent: the process has to end with the
 * buffers as they are. */
static void on_give_up(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	const struct target *target = watcher->data;

	(void)revents;
	say("gave-up connections=%u blocks_used=%" PRIu64, target->conn_count, target->pool.used);
	ev_break(loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	struct target *target = watcher->data;
	bool again = target->stopping;
	struct conn *conn;

	(void)revents;
	say("stopping signal=%d connections=%u", watcher->signum, target->conn_count);
	if (!again)
		ev_timer_start(loop, &target->give_up);
	target->stopping = true;
	close_listeners(target);
	TAILQ_FOREACH(conn, &target->conns, in_target) {
		if (again)
			conn_abort(conn, -ECANCELED);
		else
			conn_drain(conn, target->options.drain_ms);
	}
	target_check_done(target);
}

/* What everything waits for: a line of the log for each of the library's. */
static void tell_why(const struct target *target)
{
	static char text[ZCREQ_EXPLAIN_MAX];
	char *line, *rest = NULL;

	if (zcreq_context_explain(target->context, ZCREQ_TEXT, text, sizeof(text)) < 0)
		return;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		say("explain %s", line);
}

/* SIGUSR1: what there is now, and what there was, in one line; and then why. */
static void tell_stats(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	const struct target *target = watcher->data;
	struct zcreq_stats stats = { 0 };
	const struct ctrl *ctrl;
	unsigned ctrls = 0, queues = 0;

	(void)loop;
	(void)revents;
	TAILQ_FOREACH(ctrl, &target->ctrls, in_target) {
		ctrls++;
		queues += ctrl->conns;
	}
	if (zcreq_context_stats(target->context, &stats, sizeof(stats)) < 0)
		return;
	say("stats controllers=%u queues=%u connections=%u begun=%" PRIu64 " released=%" PRIu64
	    " inflight=%" PRIu64 " quarantined=%" PRIu64 " stale=%" PRIu64 " blocks_used=%" PRIu64,
	    ctrls, queues, target->conn_count, stats.begun, stats.released, stats.requests_now,
	    stats.quarantined_now, stats.stale_handles, (uint64_t)target->pool.used);
	tell_why(target);
}

void target_check_done(struct target *target)
{
	if (target->stopping && TAILQ_EMPTY(&target->conns))
		ev_break(target->loop, EVBREAK_ALL);
}

static int open_namespaces(struct target *target)
{
	const struct options *options = &target->options;
	char seed[NQN_MAX + 16];
	const char *error;
	unsigned i;
	int err;

	for (i = 0; i < options->namespace_count; i++) {
		snprintf(seed, sizeof(seed), "%s/%u", options->nqn, i + 1);
		err = store_open(options->namespaces[i], seed, &target->stores[i], &error);
		if (err < 0) {
			fprintf(stderr, "zcreq-nvmet: namespace %s: %s\n", options->namespaces[i],
				error);
			return err;
		}
		target->store_count++;
	}
	return 0;
}

/* The serial number names the subsystem: one for each NQN. */
static void make_serial(struct target *target)
{
	uint64_t hash = 0xcbf29ce484222325;
	const char *at;

	for (at = target->options.nqn; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 0x100000001b3;
	snprintf(target->serial, sizeof(target->serial), "ZC%016" PRIX64, hash);
}

static int open_loop(struct target *target)
{
	struct zcreq_context_options context = { .size = sizeof(context) };
	int err;

	target->loop = ev_default_loop(EVFLAG_AUTO);
	if (!target->loop)
		return -ENOMEM;
	err = zcreq_context_new(&context, &target->context);
	if (err == 0)
		err = zcreq_ev_new(target->loop, target->context, &target->ev);
	if (err == 0)
		err = engine_new(target->options.engine, target->context, target->ev,
				 &target->engine);
	if (err < 0)
		return err;
	ev_signal_init(&target->on_interrupt, on_signal, SIGINT);
	ev_signal_init(&target->on_terminate, on_signal, SIGTERM);
	ev_timer_init(&target->give_up, on_give_up,
		      (target->options.drain_ms + target->options.linger_ms) / 1e3 + 1., 0.);
	ev_signal_init(&target->on_statistics, tell_stats, SIGUSR1);
	target->on_statistics.data = target;
	ev_signal_start(target->loop, &target->on_statistics);
	target->on_interrupt.data = target->on_terminate.data = target;
	target->give_up.data = target;
	ev_signal_start(target->loop, &target->on_interrupt);
	ev_signal_start(target->loop, &target->on_terminate);
	return 0;
}

int target_init(struct target *target, const struct options *options)
{
	unsigned i;
	int err;

	memset(target, 0, sizeof(*target));
	target->options = *options;
	target->health.started_ns = zcreq_now_ns();
	TAILQ_INIT(&target->conns);
	TAILQ_INIT(&target->ctrls);
	make_serial(target);
	err = pool_init(&target->pool);
	if (err < 0)
		return err;
	target->received = malloc(RECEIVE_BYTES);
	err = target->received ? open_loop(target) : -ENOMEM;
	if (err == 0)
		err = open_namespaces(target);
	for (i = 0; i < options->listens && err == 0; i++)
		err = listener_init(target, options->listen[i]);
	return err;
}

int target_run(struct target *target)
{
	char address[ADDRESS_MAX];
	unsigned i;

	printf("ready listen=");
	for (i = 0; i < target->listener_count; i++) {
		address_format(&target->listeners[i].address, address);
		printf("%s%s", i ? "," : "", address);
	}
	say(" nqn=%s namespaces=%u engine=%s", target->options.nqn, target->store_count,
	    target->engine ? "uring" : "socket");
	ev_run(target->loop, 0);
	return 0;
}

void target_deinit(struct target *target)
{
	close_listeners(target);
	if (!TAILQ_EMPTY(&target->conns))
		return; /* the end of the process does the rest */
	if (target->loop) {
		ev_signal_stop(target->loop, &target->on_interrupt);
		ev_signal_stop(target->loop, &target->on_terminate);
		ev_signal_stop(target->loop, &target->on_statistics);
		ev_timer_stop(target->loop, &target->give_up);
	}
	engine_free(target->engine);
	zcreq_ev_free(target->ev);
	if (zcreq_context_free(target->context) < 0)
		return; /* a connection that was refused still waits for the kernel */
	while (target->store_count)
		store_close(target->stores[--target->store_count], &target->pool);
	free(target->received);
	pool_deinit(&target->pool);
	if (target->loop)
		ev_loop_destroy(target->loop);
}
