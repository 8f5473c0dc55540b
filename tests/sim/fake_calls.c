/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_calls.c - the table of calls: misuse, planned failures, options, poll
 *
 * Every call enters through enter(), which counts it, lets the hook act, notices
 * a descriptor that is closed or of another socket, and takes the next planned
 * failure. What the call then does is in the other files.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include <linux/tcp.h>

#include "sim/fake_internal.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0x2000
#endif

static const char *const call_names[FAKE_CALLS] = {
	[FAKE_SENDMSG] = "sendmsg",       [FAKE_RECVMSG] = "recvmsg",
	[FAKE_GETSOCKOPT] = "getsockopt", [FAKE_SETSOCKOPT] = "setsockopt",
	[FAKE_DISCONNECT] = "disconnect", [FAKE_SHUTDOWN] = "shutdown",
	[FAKE_CLOSE] = "close",
};

void fake_socket_fail(struct fake_socket *sock, enum fake_call call, unsigned nth,
		      unsigned times, int error)
{
	unsigned i;

	for (i = 0; i < FAKE_PLANS; i++) {
		if (sock->plans[i].nth)
			continue;
		sock->plans[i] = (struct fake_plan){ nth, times, error, call };
		return;
	}
	fake_violation(sock->kernel, "fd %d: too many planned failures", sock->fd);
}

unsigned fake_socket_planned(const struct fake_socket *sock)
{
	unsigned i, count = 0;

	for (i = 0; i < FAKE_PLANS; i++)
		count += sock->plans[i].nth != 0;
	return count;
}

/* Every plan for this call counts on; the first that is due decides. */
static int planned(struct fake_socket *sock, enum fake_call call)
{
	struct fake_plan *plan;
	int error = 0;
	unsigned i;

	for (i = 0; i < FAKE_PLANS; i++) {
		plan = &sock->plans[i];
		if (!plan->nth || plan->call != call)
			continue;
		if (plan->nth > 1) {
			plan->nth--;
			continue;
		}
		if (error)
			continue;
		error = plan->error;
		if (plan->times && --plan->times == 0)
			plan->nth = 0;
	}
	return error;
}

static int enter(struct fake_socket *sock, int fd, enum fake_call call)
{
	int error;

	sock->calls[call]++;
	sock->kernel->calls++;
	if (sock->closed || fd != sock->fd) {
		fake_violation(sock->kernel, "fd %d: %s %s", fd, call_names[call],
			       sock->closed ? "after close" : "on another's descriptor");
		return -EBADF;
	}
	if (sock->hook)
		sock->hook(sock, call, sock->hook_arg);
	error = planned(sock, call);
	if (error == EINTR)
		fake_happens(sock, FAKE_INTERRUPTED);
	return -error;
}

static ssize_t op_sendmsg(int fd, const struct msghdr *message, int flags, void *arg)
{
	int ret = enter(arg, fd, FAKE_SENDMSG);

	return ret ? ret : fake_sendmsg(arg, message, flags);
}

static ssize_t op_recvmsg(int fd, struct msghdr *message, int flags, void *arg)
{
	int ret = enter(arg, fd, FAKE_RECVMSG);

	return ret ? ret : fake_recvmsg(arg, message, flags);
}

static unsigned packets(uint64_t bytes)
{
	return (unsigned)((bytes + FAKE_MSS - 1) / FAKE_MSS);
}

static uint8_t tcp_state(const struct fake_socket *sock)
{
	if (sock->dead || !sock->knobs.connected)
		return 7; /* TCP_CLOSE */
	if (sock->shut_send && sock->fin_acked)
		return sock->peer_fin ? 7 : 5; /* TCP_CLOSE, TCP_FIN_WAIT2 */
	if (sock->shut_send && sock->peer_fin)
		return sock->peer_first ? 9 : 11; /* TCP_LAST_ACK, TCP_CLOSING */
	if (sock->shut_send)
		return 4; /* TCP_FIN_WAIT1 */
	return sock->peer_fin ? 8 : 1; /* TCP_CLOSE_WAIT, TCP_ESTABLISHED */
}

static uint32_t window32(uint64_t bytes)
{
	return bytes > UINT32_MAX ? 4 << 20 : (uint32_t)bytes;
}

static void tcp_info(const struct fake_socket *sock, struct tcp_info *info)
{
	uint64_t now = sock->kernel->now_ms;
	/* A retransmission doubles the timeout itself; a probe only backs off. */
	unsigned doubled = sock->sent_edge > sock->acked ? sock->backoff : 0;
	uint64_t rto = fake_rto_ms(sock) << (doubled < 10 ? doubled : 10);

	memset(info, 0, sizeof(*info));
	info->tcpi_state = tcp_state(sock);
	info->tcpi_retransmits = (uint8_t)sock->retransmits;
	info->tcpi_probes = (uint8_t)sock->probes;
	info->tcpi_backoff = (uint8_t)sock->backoff;
	info->tcpi_rto = (uint32_t)(rto > FAKE_RTO_MAX_MS ? FAKE_RTO_MAX_MS : rto) * 1000;
	info->tcpi_snd_mss = FAKE_MSS;
	info->tcpi_rcv_mss = 536;
	info->tcpi_last_data_sent = (uint32_t)(now - sock->last_sent_ms);
	info->tcpi_last_data_recv = (uint32_t)(now - sock->last_data_ms);
	info->tcpi_last_ack_recv = (uint32_t)(now - sock->last_ack_ms);
	info->tcpi_pmtu = 1500;
	info->tcpi_rtt = sock->knobs.rtt_ms ? (uint32_t)sock->knobs.rtt_ms * 1000 : 100;
	info->tcpi_rttvar = 50;
	info->tcpi_advmss = FAKE_MSS;
	info->tcpi_snd_cwnd = packets(window32(sock->knobs.cwnd_bytes));
	info->tcpi_total_retrans = (uint32_t)sock->total_retrans;
	info->tcpi_bytes_acked = sock->acked + 1 + sock->fin_acked; /* the two ends count */
	info->tcpi_bytes_sent = sock->sent_edge;
	info->tcpi_data_segs_out = packets(sock->sent_edge) + sock->knobs.past_segments;
	info->tcpi_snd_wnd = window32(sock->window);
	if (sock->dead)
		return;
	info->tcpi_unacked = packets(sock->sent_edge - sock->acked) + fake_fin_flies(sock);
	info->tcpi_notsent_bytes = (uint32_t)(sock->total - sock->sent_edge);
}

static int get_tcp_info(struct fake_socket *sock, void *value, socklen_t *len)
{
	size_t known = sock->knobs.tcp_info_bytes;
	struct tcp_info info;

	tcp_info(sock, &info);
	if (!known || known > sizeof(info))
		known = sizeof(info);
	if (*len > known)
		*len = (socklen_t)known;
	memcpy(value, &info, *len);
	sock->asked_heard_ms = info.tcpi_last_ack_recv;
	return 0;
}

static int get_value(struct fake_socket *sock, int level, int name, void *value, socklen_t *len)
{
	int number;

	if (level == IPPROTO_TCP && name == TCP_INFO)
		return get_tcp_info(sock, value, len);
	if (level == SOL_SOCKET && name == SO_TYPE) {
		number = sock->knobs.type;
	} else if (level == SOL_SOCKET && name == SO_PROTOCOL) {
		number = sock->knobs.protocol;
	} else if (level == SOL_SOCKET && name == SO_ZEROCOPY) {
		number = sock->zerocopy_on;
	} else if (level == SOL_SOCKET && name == SO_ERROR) {
		number = sock->so_error;
		sock->so_error = 0;
	} else {
		fake_violation(sock->kernel, "fd %d: getsockopt(%d, %d) is not in the contract",
			       sock->fd, level, name);
		return -ENOPROTOOPT;
	}
	if (*len > sizeof(number))
		*len = sizeof(number);
	memcpy(value, &number, *len);
	return 0;
}

static int op_getsockopt(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	struct fake_socket *sock = arg;
	int ret = enter(sock, fd, FAKE_GETSOCKOPT);

	if (!ret && sock->knobs.open_error)
		ret = -sock->knobs.open_error;
	if (ret)
		return ret;
	return get_value(sock, level, name, value, len);
}

static int op_setsockopt(int fd, int level, int name, const void *value, socklen_t len, void *arg)
{
	struct fake_socket *sock = arg;
	int ret = enter(sock, fd, FAKE_SETSOCKOPT);
	const struct linger *linger = value;
	int number = 0;

	if (!ret && sock->knobs.open_error)
		ret = -sock->knobs.open_error;
	sock->reset_refused |= ret && level == SOL_SOCKET && name == SO_LINGER;
	if (ret)
		return ret;
	if (level == SOL_SOCKET && name == SO_LINGER && len >= sizeof(*linger)) {
		sock->reset_on_close = linger->l_onoff && !linger->l_linger;
		return 0;
	}
	if (len < sizeof(number))
		return -EINVAL;
	memcpy(&number, value, sizeof(number));
	if (level == SOL_SOCKET && name == SO_ZEROCOPY) {
		if (sock->knobs.zerocopy_refused)
			return -sock->knobs.zerocopy_refused;
		sock->zerocopy_on = number != 0;
		return 0;
	}
	if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT) {
		if (number < 0)
			return -EINVAL;
		sock->user_timeout_ms = (uint32_t)number;
		return 0;
	}
	fake_violation(sock->kernel, "fd %d: setsockopt(%d, %d) is not in the contract", fd, level,
		       name);
	return -ENOPROTOOPT;
}

static int op_disconnect(int fd, void *arg)
{
	struct fake_socket *sock = arg;
	int ret = enter(sock, fd, FAKE_DISCONNECT);

	if (ret)
		return ret;
	if (sock->knobs.disconnect_busy) {
		sock->knobs.disconnect_busy--;
		fake_happens(sock, FAKE_BUSY);
		return -EBUSY;
	}
	if (sock->knobs.disconnect_error) {
		fake_happens(sock, FAKE_BUSY);
		return -sock->knobs.disconnect_error;
	}
	if (!sock->dead) {
		sock->reset_sent = true;
		sock->so_error = ECONNRESET;
	}
	sock->disconnects++;
	sock->fin_acked = false;
	sock->shut_send = sock->shut_receive = sock->peer_fin = false;
	fake_die(sock);
	return 0;
}

static int op_shutdown(int fd, int how, void *arg)
{
	struct fake_socket *sock = arg;
	int ret = enter(sock, fd, FAKE_SHUTDOWN);

	if (ret)
		return ret;
	if (sock->dead)
		return -ENOTCONN;
	if ((how == SHUT_WR || how == SHUT_RDWR) && !sock->shut_send) {
		sock->shut_send = true;
		sock->peer_first = sock->peer_fin;
	}
	if (how == SHUT_RD || how == SHUT_RDWR)
		sock->shut_receive = true;
	fake_push(sock);
	if (sock->knobs.auto_ack)
		fake_socket_ack(sock, FAKE_NEVER);
	return 0;
}

static int op_close(int fd, void *arg)
{
	struct fake_socket *sock = arg;
	int ret = enter(sock, fd, FAKE_CLOSE);

	if (sock->closed || fd != sock->fd)
		return ret;
	sock->closed_holding_bytes = sock->held_bytes;
	sock->closed_unproven_bytes = sock->held_bytes + sock->told_bytes;
	sock->closed_unsent_bytes = sock->dead ? 0 : sock->total - sock->acked;
	sock->shut_send = true;
	sock->closed = true;
	fake_messages_purge(sock);
	/* with something unread, or on the program's demand, it is no end but a reset, and
	 * what is on its way is lost */
	if ((sock->reset_on_close || sock->unread) && !sock->dead) {
		sock->reset_sent = true;
		fake_die(sock);
	}
	return ret;
}

const struct zcreq_socket_ops fake_socket_ops = {
	.sendmsg = op_sendmsg,
	.recvmsg = op_recvmsg,
	.getsockopt = op_getsockopt,
	.setsockopt = op_setsockopt,
	.disconnect = op_disconnect,
	.shutdown = op_shutdown,
	.close = op_close,
};

short fake_socket_poll(const struct fake_socket *sock, short events)
{
	uint64_t used = sock->dead ? 0 : sock->total - sock->acked;
	short bits = 0;

	if (sock->closed)
		return POLLNVAL;
	if (sock->dead || (sock->shut_send && (sock->shut_receive || sock->peer_fin)))
		bits |= POLLHUP;
	if ((sock->dead && !sock->disconnects) || sock->peer_fin || sock->shut_receive)
		bits |= POLLIN | POLLRDHUP;
	if (sock->dead || sock->shut_send ||
	    (used < sock->knobs.sndbuf_bytes && sock->knobs.sndbuf_bytes - used >= used / 2))
		bits |= POLLOUT;
	if (sock->so_error || sock->messages)
		bits |= POLLERR;
	return bits & (short)(events | POLLERR | POLLHUP);
}

void fake_socket_set_hook(struct fake_socket *sock, fake_hook *hook, void *arg)
{
	sock->hook = hook;
	sock->hook_arg = arg;
}

void fake_socket_unreadable(struct fake_socket *sock, const void *memory, size_t len)
{
	if (sock->unreadable_count == sizeof(sock->unreadable) / sizeof(sock->unreadable[0])) {
		fake_violation(sock->kernel, "fd %d: too many unreadable spans", sock->fd);
		return;
	}
	sock->unreadable[sock->unreadable_count].base = memory;
	sock->unreadable[sock->unreadable_count++].len = len;
}

void fake_socket_readable(struct fake_socket *sock, const void *memory, size_t len)
{
	const uint8_t *from = memory;
	unsigned i = 0;

	while (i < sock->unreadable_count)
		if (sock->unreadable[i].base >= from && sock->unreadable[i].base < from + len)
			sock->unreadable[i] = sock->unreadable[--sock->unreadable_count];
		else
			i++;
}
