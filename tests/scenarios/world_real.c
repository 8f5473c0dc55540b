/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world_real.c - a world on the real kernel: two namespaces and a cable (tests/real/net.h)
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "real/locked.h"
#include "real/net.h"
#include "real/raw.h"
#include "stream/socket.h"
#include "scenarios/world.h"

#define SLOW_BYTES_A_SECOND 49152
#define LOOK_NS 900000000u /* the kernel looks after carriers every second */
#define LATE_NS 100000000u /* so much later than was asked for nothing is observed */
#define EXIT_AGAIN 75      /* check_scenarios.sh plays it again */
#define ANSWER_US 500000   /* between two answers to window probes (tcp_invalid_ratelimit) */

static struct net net = {-1, -1, -1, -1, 0, 0};
static int near = -1, far = -1;
static uint64_t looked_ns; /* when the kernel last looked after carriers; 0: not asked */
static uint64_t waited_ns; /* when the last wait was over, or the connection was made */
static int tap = -1; /* sees what far is sent, for the router that answers it */

static void must(int ret, const char *what)
{
	if (ret < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

/* A call that sets errno. */
static void must_call(int ret, const char *what)
{
	must(ret < 0 ? -errno : 0, what);
}

static const char *real_missing(const char *what)
{
	if (!strcmp(what, "slow"))
		return net_missing_slow();
	if (!strcmp(what, "optmem"))
		return net_missing_optmem();
	return net_missing();
}

static void need_net(void)
{
	if (net.near_ns < 0)
		must(net_open(&net), "namespaces");
}

/* The device cannot gather, so every byte is copied when it is sent. */
static void no_scatter_gather(void)
{
	struct ethtool_value off = {.cmd = ETHTOOL_SSG};
	struct ifreq request = {.ifr_data = (void *)&off};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if_indextoname(net.near_index, request.ifr_name);
	must_call(ioctl(fd, SIOCETHTOOL, &request), "scatter-gather off");
	close(fd);
}

static bool real_limit(const char *what, uint64_t value)
{
	char text[32];

	need_net();
	if (!strcmp(what, "optmem")) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
		must(net_sysctl(&net, NET_NEAR, "core/optmem_max", text), "optmem_max");
	} else if (!strcmp(what, "locked")) {
		must(locked_limit(value * 4096), "locked memory");
	} else if (!strcmp(what, "no-sg")) {
		no_scatter_gather();
	} else if (!strcmp(what, "fresh-carrier")) {
		must(net_await_look(&net), "a look after carriers");
		looked_ns = raw_now_ns();
	} else {
		return false;
	}
	return true;
}

static struct world_socket real_open(const struct world_options *options)
{
	const struct net_pair pair = {
		.family = (enum net_family)options->family,
		.near_sndbuf = options->sndbuf ? options->sndbuf : 4 << 20,
		.far_rcvbuf = options->rcvbuf,
	};

	need_net();
	must(net_connect(&net, &pair, &near, &far), "connect");
	waited_ns = raw_now_ns();
	return (struct world_socket){&zcreq_kernel_socket, NULL, near};
}

static short real_poll(void)
{
	struct pollfd p = {.fd = near, .events = POLLIN | POLLOUT | POLLRDHUP};

	poll(&p, 1, 0);
	return p.revents;
}

static void real_unreadable(void *memory, size_t len)
{
	must_call(mprotect(memory, len, PROT_NONE), "mprotect");
}

static void stamp(void)
{
	const int stamps = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |
			   SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;

	must_call(setsockopt(near, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)),
		  "timestamps");
}

static void listen_to_packets(void)
{
	const int one = 1;

	setsockopt(near, SOL_IP, IP_RECVERR, &one, sizeof(one));
	tap = net_socket(&net, NET_FAR, AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
	must(tap, "packet socket");
	must(net_misdirect(&net, true), "misdirect");
}

/* Answers the first packet with "host unreachable", as a router does. */
static void answer_unreachable(void)
{
	struct {
		uint8_t type, code;
		uint16_t sum;
		uint32_t unused;
		uint8_t packet[48]; /* the IP header and the start of TCP's */
	} icmp = {.type = 3, .code = 1};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int raw = net_socket(&net, NET_FAR, AF_INET, SOCK_RAW, IPPROTO_ICMP);
	uint16_t words[sizeof(icmp) / 2];
	uint32_t sum = 0;

	must(raw, "raw socket");
	must_call(recv(tap, icmp.packet, sizeof(icmp.packet), 0), "packet");
	memcpy(words, &icmp, sizeof(icmp));
	for (unsigned i = 0; i < sizeof(icmp) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	icmp.sum = ~(sum + (sum >> 16));
	memcpy(&to.sin_addr, icmp.packet + 12, 4); /* to whom it came from */
	must_call(sendto(raw, &icmp, sizeof(icmp), 0, (struct sockaddr *)&to, sizeof(to)), "icmp");
	close(raw);
	close(tap);
	tap = -1;
}

static bool real_host(const char *what)
{
	if (!strcmp(what, "vanish"))
		must(net_misdirect(&net, true), what);
	else if (!strcmp(what, "return"))
		must(net_misdirect(&net, false), what);
	else if (!strcmp(what, "cut"))
		must(net_cut(&net, true), what);
	else if (!strcmp(what, "uncut"))
		must(net_cut(&net, false), what);
	else if (!strcmp(what, "slow"))
		must(net_slow(&net, SLOW_BYTES_A_SECOND), what);
	else if (!strcmp(what, "stamps"))
		stamp();
	else if (!strcmp(what, "unreachable"))
		listen_to_packets();
	else
		return false;
	return true;
}

static bool real_peer(const char *what)
{
	const struct linger reset = {.l_onoff = 1};

	if (!strcmp(what, "fin")) {
		must_call(shutdown(far, SHUT_WR), what);
		return true;
	}
	if (!strcmp(what, "reset"))
		must_call(setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), what);
	else if (strcmp(what, "close"))
		return false;
	must_call(close(far), what);
	far = -1;
	return true;
}

/* Reads until nothing has come for a while: longer than a retransmission takes. */
static enum world_end real_read(uint8_t *to, size_t most, size_t *len)
{
	struct pollfd p = {.fd = far, .events = POLLIN};
	ssize_t ret;

	*len = 0;
	while (poll(&p, 1, 500) > 0) {
		ret = recv(far, to + *len, most - *len, MSG_DONTWAIT);
		waited_ns = raw_now_ns();
		if (ret <= 0)
			return ret ? WORLD_RESET : WORLD_ENDED;
		*len += (size_t)ret;
	}
	waited_ns = raw_now_ns();
	return WORLD_MORE;
}

/* What was to be seen is over: the machine kept this process from looking in time. */
static void excuse(uint64_t since_ns, const char *since)
{
	fprintf(stderr, "the machine lost too much time: %llu ms since %s\n",
		(unsigned long long)(raw_now_ns() - since_ns) / 1000000, since);
	exit(EXIT_AGAIN);
}

/*
 * The second window probe comes two RTO after the first, and so soon has no answer. Not so on a
 * machine that is so slow that what it has measured as round trips makes the RTO longer.
 */
static void excuse_late_probes(void)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(near, IPPROTO_TCP, TCP_INFO, &info, &len) || info.tcpi_unacked ||
	    !info.tcpi_backoff || 2 * info.tcpi_rto < ANSWER_US)
		return;
	fprintf(stderr, "the machine is too slow: window probes are %u ms apart\n",
		2 * info.tcpi_rto / 1000);
	exit(EXIT_AGAIN);
}

static void real_wait(unsigned ms)
{
	if (tap >= 0)
		answer_unreachable();
	raw_sleep_ms((int)ms);
	if (looked_ns && raw_now_ns() - looked_ns > LOOK_NS)
		excuse(looked_ns, "the last look after carriers");
	if (raw_now_ns() - waited_ns > ms * 1000000ull + LATE_NS)
		excuse(waited_ns, "what was observed last");
	excuse_late_probes();
	waited_ns = raw_now_ns();
}

const struct world world_real = {
	.missing = real_missing,
	.limit = real_limit,
	.open = real_open,
	.poll = real_poll,
	.unreadable = real_unreadable,
	.host = real_host,
	.peer = real_peer,
	.read = real_read,
	.wait = real_wait,
};
