/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.c - putting a thread together: loop, context, listeners, the end
 *
 * Owns: the order of setting up and of ending; on the first thread also what there is
 * one of: namespaces, listeners, signals. Never: speaks to a host.
 *
 * The end is a drain with a deadline, and an abort after it; a second signal is
 * the deadline at once. The loop is stopped when the last connection has closed.
 */
#include "target.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zcreq/guard.h>

#include "conn.h"
#include "subsystem.h"

#define BACKLOG 256
#define ACCEPTS_IN_TURN 32
#define ACCEPT_PAUSE_S .1

struct store *target_namespace(const struct target *target, uint32_t nsid)
{
	return nsid >= 1 && nsid <= target->store_count ? target->stores[nsid - 1] : NULL;
}

bool target_allows(const struct target *target, const char *hostnqn)
{
	const struct options *options = &target->options;
	unsigned i;

	for (i = 0; i < options->allowed_count; i++)
		if (!strcmp(options->allowed[i], hostnqn))
			return true;
	return !options->allowed_count;
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
			subsystem_hand_over(listener->target->subsystem, fd, &peer);
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

/* What it accepts has its congestion control. */
static int listen_on(const struct sockaddr_storage *address, socklen_t len, const char *congestion)
{
	int fd, one = 1, err;

	fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if ((congestion && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
				      (socklen_t)strlen(congestion)) < 0) ||
	    bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, BACKLOG) < 0) {
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
		fd = listen_on(&listener->address, listener->address_len, target->options.congestion);
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
	target->subsystem->addresses[target->subsystem->address_count++] = listener->address;
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
	struct target *target = watcher->data;
	struct subsystem *subsystem = target->subsystem;

	(void)loop;
	(void)revents;
	say("gave-up connections=%u blocks_used=%" PRIu64,
	    __atomic_load_n(&subsystem->conn_count, __ATOMIC_RELAXED),
	    subsystem_blocks_used(subsystem));
	subsystem_end(target, ENDING_GIVE_UP);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	struct target *target = watcher->data;
	bool again = target->ending != ENDING_NOT;

	(void)revents;
	say("stopping signal=%d connections=%u", watcher->signum,
	    __atomic_load_n(&target->subsystem->conn_count, __ATOMIC_RELAXED));
	if (!again)
		ev_timer_start(loop, &target->give_up);
	close_listeners(target);
	subsystem_end(target, again ? ENDING_ABORT : ENDING_DRAIN);
}

/* SIGUSR1: what there is now, and what there was, in one line; and then why. */
static void on_statistics(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	(void)loop;
	(void)revents;
	subsystem_tell_stats(watcher->data);
}

static void on_wake(struct ev_loop *loop, ev_async *watcher, int revents)
{
	(void)loop;
	(void)revents;
	target_look(watcher->data);
}

void target_wake(struct target *target)
{
	ev_async_send(target->loop, &target->wake);
}

static void wake(void *target)
{
	target_wake(target);
}

void target_stop(struct target *target)
{
	target->stopped = true;
	ev_break(target->loop, EVBREAK_ALL);
}

static int open_namespace(struct target *target, unsigned i)
{
	const struct namespace_option *option = &target->options.namespaces[i];
	char seed[NQN_MAX + 16];
	struct store *store;
	const char *error;
	int err;

	snprintf(seed, sizeof(seed), "%s/%u", target->options.nqn, i + 1);
	err = store_open(option->spec, seed, &store, &error);
	if (err < 0) {
		fprintf(stderr, "zcreq-nvmet: namespace %s: %s\n", option->spec, error);
		return err;
	}
	if (option->named)
		memcpy(store->uuid, option->uuid, sizeof(store->uuid));
	store->lba_shift = target->options.lba_shift;
	memcpy(store->nguid, option->nguid, sizeof(store->nguid));
	target->stores[target->store_count++] = store;
	return target->options.threads > 1 ? store_share(store) : 0;
}

static int open_namespaces(struct target *target)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < target->options.namespace_count && err == 0; i++)
		err = open_namespace(target, i);
	return err;
}

/* Those of the first thread. */
static void borrow_namespaces(struct target *target, const struct target *first)
{
	memcpy(target->stores, first->stores, sizeof(target->stores));
	target->store_count = first->store_count;
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

static void watch_signals(struct target *target)
{
	ev_signal_init(&target->on_interrupt, on_signal, SIGINT);
	ev_signal_init(&target->on_terminate, on_signal, SIGTERM);
	ev_signal_init(&target->on_statistics, on_statistics, SIGUSR1);
	target->on_interrupt.data = target->on_terminate.data = target;
	target->on_statistics.data = target;
	ev_signal_start(target->loop, &target->on_interrupt);
	ev_signal_start(target->loop, &target->on_terminate);
	ev_signal_start(target->loop, &target->on_statistics);
}

/* Its own of the pages of statistics, if there are any. */
static int keep_page(const struct target *target)
{
	const struct subsystem *subsystem = target->subsystem;
	struct zcreq_page_options page = {
		.size = sizeof(page),
		.memory_bytes = subsystem->page_bytes,
		.name = "zcreq-nvmet",
	};

	if (!subsystem->pages)
		return 0;
	page.memory = (char *)subsystem->pages + target->number * subsystem->page_bytes;
	return zcreq_page_keep(target->context, &page);
}

static int open_loop(struct target *target, bool first)
{
	struct zcreq_context_options context = { .size = sizeof(context) };
	int err;

	/* the default loop hears signals */
	target->loop = first ? ev_default_loop(EVFLAG_AUTO) : ev_loop_new(EVFLAG_AUTO);
	if (!target->loop)
		return -ENOMEM;
	err = zcreq_context_new(&context, &target->context);
	if (err == 0) /* if ZCREQ_GUARD asks for it */
		err = zcreq_guard_attach(target->context, NULL);
	if (err == 0)
		err = keep_page(target);
	if (err == 0)
		err = zcreq_ev_new(target->loop, target->context, &target->ev);
	if (err == 0)
		err = sender_new(target->options.sender, target->context, &target->sender);
	if (err < 0)
		return err;
	ev_async_init(&target->wake, on_wake);
	ev_timer_init(&target->give_up, on_give_up,
		      (target->options.drain_ms + target->options.linger_ms) / 1e3 + 1., 0.);
	target->wake.data = target->give_up.data = target;
	ev_async_start(target->loop, &target->wake);
	if (first)
		watch_signals(target);
	return 0;
}

int target_init(struct target *target, const struct options *options)
{
	struct target *first_target = target->subsystem->threads[0];
	bool first = target == first_target;
	unsigned i;
	int err;

	target->options = *options;
	target->health.started_ns = zcreq_now_ns();
	TAILQ_INIT(&target->conns);
	TAILQ_INIT(&target->ctrls);
	work_init(target);
	SLIST_INIT(&target->spare_tasks);
	STAILQ_INIT(&target->arrivals);
	make_serial(target);
	err = pool_init(&target->pool);
	if (err < 0)
		return err;
	if (options->threads > 1)
		pool_share(&target->pool, wake, target);
	target->received = malloc(RECEIVE_BYTES);
	err = target->received ? open_loop(target, first) : -ENOMEM;
	if (err < 0)
		return err;
	if (!first) {
		borrow_namespaces(target, first_target);
		return 0;
	}
	err = open_namespaces(target);
	for (i = 0; i < options->listens && err == 0; i++)
		err = listener_init(target, options->listen[i]);
	return err;
}

void target_run(struct target *target)
{
	while (!target->stopped)
		ev_run(target->loop, target->options.poll ? EVRUN_NOWAIT : 0);
}

void target_serve(struct target *target)
{
	char address[ADDRESS_MAX];
	unsigned i;

	printf("ready listen=");
	for (i = 0; i < target->listener_count; i++) {
		address_format(&target->listeners[i].address, address);
		printf("%s%s", i ? "," : "", address);
	}
	say(" nqn=%s namespaces=%u sender=%s threads=%u", target->options.nqn,
	    target->store_count, target->sender ? "uring" : "socket",
	    target->subsystem->thread_count);
	target_run(target);
}

bool target_end(struct target *target)
{
	close_listeners(target);
	if (!TAILQ_EMPTY(&target->conns))
		return false;
	if (target->loop) {
		ev_signal_stop(target->loop, &target->on_interrupt);
		ev_signal_stop(target->loop, &target->on_terminate);
		ev_signal_stop(target->loop, &target->on_statistics);
		ev_timer_stop(target->loop, &target->give_up);
		ev_async_stop(target->loop, &target->wake);
	}
	sender_free(target->sender);
	zcreq_ev_free(target->ev);
	if (zcreq_context_free(target->context) < 0)
		return false; /* a connection that was refused still waits for the kernel */
	tasks_free_spare(target);
	free(target->received);
	target->pool.wake = NULL; /* there is nobody any more who sleeps */
	if (target->loop)
		ev_loop_destroy(target->loop);
	return true;
}
