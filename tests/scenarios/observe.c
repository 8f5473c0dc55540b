/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * observe.c - the error queue, TCP_INFO and poll bits as text: see trace.h
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>

#include "scenarios/scenario.h"
#include "support/errno_name.h"

#ifndef SCM_TIMESTAMPING
#define SCM_TIMESTAMPING 37
#endif

#define QUIET_MS 1000
#define DOUBLED_RTO_US 400000

static bool printed; /* anything since trace_reaped() */

const char *trace_result(long result)
{
	static char text[32];

	if (result >= 0)
		return "ok";
	snprintf(text, sizeof(text), "-%s", errno_name((int)-result));
	return text;
}

static const char *share(uint64_t part, uint64_t whole)
{
	return !part ? "0" : part < whole ? "some" : "all";
}

static void print_range(struct trace_ids *ids)
{
	const struct trace_range *r = &ids->last;

	if (!ids->pending)
		return;
	ids->pending = false;
	printed = true;
	printf("%u..%u%s, %zu bytes of control data\n", r->lo, r->hi, r->copied ? " copied" : "",
	       r->control_bytes);
}

/* Each id once, and none that was not given. */
static void tell(struct trace_ids *ids, const struct trace_range *r)
{
	for (uint32_t id = r->lo; id != r->hi + 1; id++) {
		if (id >= ids->given || id >= TRACE_IDS) {
			printf("id %u was never given\n", id);
			return;
		}
		if (ids->told[id]++)
			printf("id %u was told before\n", id);
	}
	ids->heard += r->hi - r->lo + 1;
	ids->rough_heard += r->hi - r->lo + 1;
	ids->rough_copied += r->copied ? r->hi - r->lo + 1 : 0;
}

static void range(struct trace_ids *ids, const struct trace_range *r)
{
	tell(ids, r);
	if (ids->rough)
		return;
	if (ids->pending && ids->last.hi + 1 == r->lo && ids->last.copied == r->copied) {
		ids->last.hi = r->hi;
		return;
	}
	print_range(ids);
	ids->last = *r;
	ids->pending = true;
}

static void message(struct trace_ids *ids, const struct msghdr *header, ssize_t payload)
{
	struct msghdr copy = *header;
	struct sock_extended_err err;
	bool stamp = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c)) {
		if (c->cmsg_level == SOL_SOCKET) {
			stamp = stamp || c->cmsg_type == SCM_TIMESTAMPING;
			continue;
		}
		memcpy(&err, CMSG_DATA(c), sizeof(err));
		if (err.ee_origin == SO_EE_ORIGIN_ZEROCOPY) {
			range(ids, &(struct trace_range){
				.lo = err.ee_info, .hi = err.ee_data,
				.copied = err.ee_code & SO_EE_CODE_ZEROCOPY_COPIED,
				.control_bytes = c->cmsg_len - CMSG_LEN(0),
			});
			continue;
		}
		print_range(ids);
		printed = true;
		printf("message: %sorigin %u, errno %s, type %u, code %u, %s payload, "
		       "%zu bytes of control data\n",
		       stamp ? "a timestamp, then " : "", err.ee_origin,
		       errno_name((int)err.ee_errno), err.ee_type, err.ee_code,
		       payload ? "with" : "no", c->cmsg_len - CMSG_LEN(0));
	}
	if (header->msg_flags & MSG_CTRUNC)
		printf("message cut\n");
}

void trace_reap(struct trace_ids *ids, const struct world_socket *socket)
{
	for (;;) {
		_Alignas(struct cmsghdr) char control[512];
		char payload[256];
		struct iovec iov = {payload, sizeof(payload)};
		struct msghdr header = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t ret = socket->ops->recvmsg(socket->fd, &header,
						   MSG_ERRQUEUE | MSG_DONTWAIT, socket->arg);

		if (ret < 0) {
			if (ret != -EAGAIN)
				printf("error queue: %s\n", trace_result(ret));
			return;
		}
		message(ids, &header, ret);
	}
}

void trace_reaped(struct trace_ids *ids)
{
	print_range(ids);
	if (ids->rough && ids->rough_heard) {
		printf("%s of the ids are told now, %s of these copied\n",
		       share(ids->heard, ids->given),
		       share(ids->rough_copied, ids->rough_heard));
		printed = true;
	}
	if (!printed)
		printf("nothing\n");
	ids->rough_heard = ids->rough_copied = 0;
	printed = false;
}

void trace_info(const struct world_socket *socket, uint64_t accepted)
{
	static const char *const states[] = {
		[1] = "ESTABLISHED", [4] = "FIN_WAIT1", [5] = "FIN_WAIT2", [6] = "TIME_WAIT",
		[7] = "CLOSE", [8] = "CLOSE_WAIT", [9] = "LAST_ACK", [11] = "CLOSING",
	};
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	uint32_t heard_ms;
	const char *state;
	int ret = socket->ops->getsockopt(socket->fd, IPPROTO_TCP, TCP_INFO, &info, &len,
					  socket->arg);

	if (ret) {
		printf("%s\n", trace_result(ret));
		return;
	}
	state = info.tcpi_state < 12 ? states[info.tcpi_state] : NULL;
	heard_ms = info.tcpi_last_ack_recv < info.tcpi_last_data_recv ? info.tcpi_last_ack_recv
								      : info.tcpi_last_data_recv;
	printf("%s", state ? state : "?");
	if (info.tcpi_state == 7) { /* the rest is of a connection that was */
		printf("\n");
		return;
	}
	/* the SYN counts as one byte */
	printf(", acked %s, unacked %s, notsent %s, window %s, probes %s, backoff %s, rto %s, heard %s\n",
	       share(info.tcpi_bytes_acked ? info.tcpi_bytes_acked - 1 : 0, accepted),
	       info.tcpi_unacked ? "some" : "0", info.tcpi_notsent_bytes ? "some" : "0",
	       info.tcpi_snd_wnd < WORLD_MSS ? "closed" : "open",
	       info.tcpi_probes ? "some" : "0", info.tcpi_backoff ? "some" : "0",
	       info.tcpi_rto < DOUBLED_RTO_US ? "base" : "doubled",
	       heard_ms < QUIET_MS ? "recently" : "long ago");
}

void trace_poll(short bits)
{
	static const struct {
		short bit;
		const char *name;
	} names[] = {
		{POLLIN, "IN"}, {POLLOUT, "OUT"}, {POLLERR, "ERR"}, {POLLHUP, "HUP"},
		{POLLRDHUP, "RDHUP"}, {POLLNVAL, "NVAL"},
	};
	const char *comma = "";

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(bits & names[i].bit))
			continue;
		printf("%s%s", comma, names[i].name);
		comma = ", ";
	}
	printf("%s\n", *comma ? "" : "none");
}
