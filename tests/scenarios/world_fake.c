/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world_fake.c - a world on the fake kernel
 *
 * The fake kernel's peer acknowledges when it is told to. Here it is told as a Linux
 * host would do it by itself: at once, as far as its receive buffer goes, whether the
 * program behind it reads or not.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fake_kernel.h"
#include "scenarios/world.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif

/* What Linux puts on the wire before the first acknowledgement. */
#define FIRST_WINDOW_BYTES (10 * WORLD_MSS)

/* How long the real peer waits for more. */
#define READ_MS 500

/* A token-bucket filter that lets everything out after this long. */
#define SLOW_MS 700

static struct fake_knobs knobs;
static struct fake_kernel *kernel;
static struct fake_socket *sock;
static uint64_t rcvbuf, unread, taken; /* of the peer: its buffer, in it, out of it */
static bool silent; /* what reaches the peer is not answered in the time of the scenario */
static bool stamped, unreachable, reset_lost;
static enum world_end end;

static const char *fake_missing(const char *what)
{
	(void)what;
	return NULL;
}

static struct fake_knobs *settings(void)
{
	if (!kernel) {
		kernel = fake_kernel_new();
		fake_socket_knobs_init(&knobs);
		knobs.record_bytes = 524288;
		knobs.receiver_copies = true;
		knobs.probe_limit_ms = 500;
	}
	return &knobs;
}

static bool fake_limit(const char *what, uint64_t value)
{
	if (!strcmp(what, "optmem"))
		settings()->optmem_bytes = value;
	else if (!strcmp(what, "locked"))
		settings()->locked_pages = value;
	else
		return !strcmp(what, "no-sg") || !strcmp(what, "fresh-carrier"); /* no difference */
	return true;
}

static struct world_socket fake_open(const struct world_options *options)
{
	struct fake_knobs *set = settings();

	set->family = (enum fake_family)options->family;
	if (options->sndbuf)
		set->sndbuf_bytes = (uint64_t)options->sndbuf;
	rcvbuf = options->rcvbuf ? (uint64_t)options->rcvbuf : FAKE_NEVER;
	sock = fake_socket_new(kernel, set);
	fake_socket_window(sock, rcvbuf);
	return (struct world_socket){ &fake_socket_ops, sock, fake_socket_fd(sock) };
}

/* The peer's kernel takes what fits, tells the window that is left, acknowledges. */
static void receive(void)
{
	struct fake_socket_report report;
	uint64_t room, bytes;

	for (;;) {
		fake_socket_report(sock, &report);
		room = rcvbuf == FAKE_NEVER ? FAKE_NEVER : rcvbuf - unread;
		bytes = report.sent_bytes - report.acked_bytes;
		bytes = bytes < room ? bytes : room;
		if (!bytes || silent || end == WORLD_RESET || report.died)
			return;
		if (stamped)
			fake_socket_post_timestamp(sock, 0);
		if (rcvbuf != FAKE_NEVER)
			fake_socket_window(sock, room - bytes);
		bytes = fake_socket_ack(sock, bytes);
		if (!bytes)
			return;
		unread += bytes;
	}
}

static short fake_poll(void)
{
	return fake_socket_poll(sock, POLLIN | POLLOUT | POLLRDHUP);
}

static void fake_unreadable(void *memory, size_t len)
{
	fake_socket_unreadable(sock, memory, len);
}

static bool fake_host(const char *what)
{
	struct fake_knobs *set = fake_socket_knobs(sock);
	struct fake_socket_report report;

	if (!strcmp(what, "vanish")) {
		set->cwnd_bytes = FIRST_WINDOW_BYTES;
		fake_socket_vanish(sock);
	} else if (!strcmp(what, "unreachable")) {
		unreachable = silent = true;
	} else if (!strcmp(what, "cut")) {
		set->no_carrier = true;
		fake_socket_vanish(sock);
	} else if (!strcmp(what, "return") || !strcmp(what, "uncut")) {
		set->cwnd_bytes = FAKE_NEVER;
		set->no_carrier = false;
		fake_socket_report(sock, &report);
		reset_lost = report.reset_sent;
		fake_socket_return(sock);
	} else if (!strcmp(what, "slow")) {
		set->cwnd_bytes = FIRST_WINDOW_BYTES;
		set->qdisc_bytes = FAKE_NEVER;
		set->qdisc_ms = SLOW_MS;
		silent = true;
	} else if (!strcmp(what, "stamps")) {
		stamped = true;
	} else {
		return false;
	}
	return true;
}

static bool fake_peer(const char *what)
{
	if (!strcmp(what, "fin"))
		fake_socket_peer_fin(sock);
	else if (!strcmp(what, "close") || !strcmp(what, "reset"))
		fake_socket_kill(sock, ECONNRESET);
	else
		return false;
	return true;
}

static enum world_end fake_read(uint8_t *to, size_t most, size_t *len)
{
	struct fake_socket_report report;
	const uint8_t *received;
	size_t all;

	*len = 0;
	do {
		received = fake_socket_received(sock, &all);
		all = all - taken < most - *len ? all - taken : most - *len;
		if (all) /* else there may be no memory to copy from */
			memcpy(to + *len, received + taken, all);
		taken += all;
		*len += all;
		unread = 0;
		if (rcvbuf != FAKE_NEVER)
			fake_socket_window(sock, rcvbuf);
		receive();
	} while (unread);
	fake_kernel_advance_ms(kernel, READ_MS);
	fake_socket_report(sock, &report);
	if (report.reset_sent && !reset_lost)
		end = WORLD_RESET;
	else if (report.fin_sent && report.acked_bytes == report.accepted_bytes)
		end = WORLD_ENDED;
	return end;
}

static void fake_wait(unsigned ms)
{
	struct fake_socket_report report;

	fake_socket_report(sock, &report);
	if (unreachable && report.sent_bytes > report.acked_bytes) {
		fake_socket_error(sock, EHOSTUNREACH);
		unreachable = false;
	}
	receive();
	fake_kernel_advance_ms(kernel, ms);
	receive();
}

const struct world world_fake = {
	.missing = fake_missing,
	.limit = fake_limit,
	.open = fake_open,
	.poll = fake_poll,
	.unreadable = fake_unreadable,
	.host = fake_host,
	.peer = fake_peer,
	.read = fake_read,
	.wait = fake_wait,
};
