/* SPDX-License-Identifier: BSD-2-Clause */
#include "real/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 4420
#define SLOW_QUEUE_BYTES (8 << 20)
#define SLOW_BURST_BYTES 4096
#define FULL_SPEED 1000000000
#define LOOK_TRIES 5000 /* milliseconds */

struct side {
	const char *name, *v4, *v6;
	uint8_t mac[6];
};

static const struct side sides[] = {
	[NET_NEAR] = {"near", "10.9.0.1", "fd09::1", {2, 0, 0, 0, 9, 1}},
	[NET_FAR] = {"far", "10.9.0.2", "fd09::2", {2, 0, 0, 0, 9, 2}},
};

static const uint8_t nobodys_mac[6] = {2, 0, 0, 0, 9, 99};

/* ---- netlink: build a message, send it, wait for the acknowledgement ---- */

struct message {
	struct nlmsghdr header;
	char body[1024];
};

static void *end_of(struct message *m)
{
	return (char *)m + NLMSG_ALIGN(m->header.nlmsg_len);
}

static void message_init(struct message *m, uint16_t type, uint16_t flags, const void *fixed,
			 size_t len)
{
	memset(m, 0, sizeof(*m));
	m->header.nlmsg_type = type;
	m->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	m->header.nlmsg_len = NLMSG_LENGTH(len);
	memcpy(m->body, fixed, len);
}

static struct rtattr *put(struct message *m, uint16_t type, const void *data, size_t len)
{
	struct rtattr *attr = end_of(m);

	attr->rta_type = type;
	attr->rta_len = RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(attr), data, len);
	m->header.nlmsg_len = NLMSG_ALIGN(m->header.nlmsg_len) + RTA_ALIGN(attr->rta_len);
	return attr;
}

static void put_fixed(struct message *m, const void *data, size_t len)
{
	memcpy(end_of(m), data, len);
	m->header.nlmsg_len = NLMSG_ALIGN(m->header.nlmsg_len) + len;
}

static void close_nest(struct message *m, struct rtattr *nest)
{
	nest->rta_len = (char *)end_of(m) - (char *)nest;
}

static int talk(int fd, struct message *m)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char echo[1024];
	} reply;
	ssize_t len;

	if (send(fd, m, m->header.nlmsg_len, 0) < 0)
		return -errno;
	len = recv(fd, &reply, sizeof(reply), 0);
	if (len < 0)
		return -errno;
	if ((size_t)len < NLMSG_LENGTH(sizeof(reply.error)) ||
	    reply.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return reply.error.error;
}

/* ---- what is asked for ---- */

static int make_cable(struct net *net)
{
	const struct ifinfomsg none = {.ifi_family = AF_UNSPEC};
	struct rtattr *info, *data, *peer;
	struct message m;

	message_init(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &none, sizeof(none));
	put(&m, IFLA_IFNAME, sides[NET_NEAR].name, strlen(sides[NET_NEAR].name) + 1);
	put(&m, IFLA_ADDRESS, sides[NET_NEAR].mac, 6);
	info = put(&m, IFLA_LINKINFO, NULL, 0);
	put(&m, IFLA_INFO_KIND, "veth", 4);
	data = put(&m, IFLA_INFO_DATA, NULL, 0);
	peer = put(&m, VETH_INFO_PEER, NULL, 0);
	put_fixed(&m, &none, sizeof(none));
	put(&m, IFLA_IFNAME, sides[NET_FAR].name, strlen(sides[NET_FAR].name) + 1);
	put(&m, IFLA_ADDRESS, sides[NET_FAR].mac, 6);
	put(&m, IFLA_NET_NS_FD, &net->far_ns, sizeof(net->far_ns));
	close_nest(&m, peer);
	close_nest(&m, data);
	close_nest(&m, info);
	return talk(net->near_netlink, &m);
}

static int set_link(int fd, int index, bool up)
{
	const struct ifinfomsg link = {
		.ifi_index = index, .ifi_change = IFF_UP, .ifi_flags = up ? IFF_UP : 0,
	};
	struct message m;

	message_init(&m, RTM_NEWLINK, 0, &link, sizeof(link));
	return talk(fd, &m);
}

static int add_address(int fd, int index, int family, const char *text)
{
	const size_t len = family == AF_INET ? 4 : 16;
	const struct ifaddrmsg address = {
		.ifa_family = family, .ifa_index = index, .ifa_flags = IFA_F_NODAD,
		.ifa_prefixlen = family == AF_INET ? 24 : 64,
	};
	struct message m;
	uint8_t bytes[16];

	inet_pton(family, text, bytes);
	message_init(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof(address));
	put(&m, IFA_LOCAL, bytes, len);
	put(&m, IFA_ADDRESS, bytes, len);
	return talk(fd, &m);
}

/* Where near finds far: fixed, or cutting the cable would test ARP instead of TCP. */
static int set_neighbour(struct net *net, int family, const char *text, const uint8_t *mac)
{
	const struct ndmsg neighbour = {
		.ndm_family = family, .ndm_ifindex = net->near_index, .ndm_state = NUD_PERMANENT,
	};
	struct message m;
	uint8_t bytes[16];

	inet_pton(family, text, bytes);
	message_init(&m, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour,
		     sizeof(neighbour));
	put(&m, NDA_DST, bytes, family == AF_INET ? 4 : 16);
	put(&m, NDA_LLADDR, mac, 6);
	return talk(net->near_netlink, &m);
}

static int forget_neighbour(struct net *net, const char *text)
{
	const struct ndmsg neighbour = {
		.ndm_family = AF_INET, .ndm_ifindex = net->near_index,
	};
	struct message m;
	uint8_t bytes[4];

	inet_pton(AF_INET, text, bytes);
	message_init(&m, RTM_DELNEIGH, 0, &neighbour, sizeof(neighbour));
	put(&m, NDA_DST, bytes, sizeof(bytes));
	return talk(net->near_netlink, &m);
}

static int set_neighbours(struct net *net, const uint8_t *mac)
{
	int ret = set_neighbour(net, AF_INET, sides[NET_FAR].v4, mac);

	return ret ? ret : set_neighbour(net, AF_INET6, sides[NET_FAR].v6, mac);
}

static int set_filter(struct net *net, uint32_t bytes_per_s)
{
	const struct tcmsg at = {
		.tcm_family = AF_UNSPEC, .tcm_ifindex = net->near_index, .tcm_parent = TC_H_ROOT,
		.tcm_handle = 1 << 16,
	};
	const struct tc_tbf_qopt parameters = {
		.rate = {.rate = bytes_per_s, .linklayer = 1 /* ethernet */},
		.limit = SLOW_QUEUE_BYTES,
	};
	const uint32_t burst = bytes_per_s == FULL_SPEED ? 1 << 20 : SLOW_BURST_BYTES;
	struct rtattr *options;
	struct message m;

	message_init(&m, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &at, sizeof(at));
	put(&m, TCA_KIND, "tbf", 4);
	options = put(&m, TCA_OPTIONS, NULL, 0);
	put(&m, TCA_TBF_PARMS, &parameters, sizeof(parameters));
	put(&m, TCA_TBF_BURST, &burst, sizeof(burst));
	close_nest(&m, options);
	return talk(net->near_netlink, &m);
}

/* ---- namespaces ---- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Root in a user namespace, for who is not root outside. */
static int become_root(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[32];
	int ret;

	if (unshare(CLONE_NEWUSER))
		return -errno;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	ret = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return ret ? ret : write_file("/proc/self/gid_map", map);
}

/* A new namespace for this thread: a descriptor of it, and a route socket in it. */
static int new_namespace(int *ns, int *netlink)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	*ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (*ns < 0)
		return -errno;
	*netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return *netlink < 0 ? -errno : 0;
}

int net_enter(const struct net *net, enum net_side side)
{
	return setns(side == NET_NEAR ? net->near_ns : net->far_ns, CLONE_NEWNET) ? -errno : 0;
}

static int configure_side(int fd, int index, const struct side *side)
{
	int ret = set_link(fd, 1, true); /* the loopback: always the first */

	if (!ret)
		ret = add_address(fd, index, AF_INET, side->v4);
	if (!ret)
		ret = add_address(fd, index, AF_INET6, side->v6);
	if (!ret)
		ret = set_link(fd, index, true);
	return ret;
}

static int configure(struct net *net)
{
	int ret = make_cable(net);

	if (ret)
		return ret;
	net->near_index = if_nametoindex(sides[NET_NEAR].name);
	net_enter(net, NET_FAR);
	net->far_index = if_nametoindex(sides[NET_FAR].name);
	/* or a cable that goes down takes the IPv6 address with it */
	write_file("/proc/sys/net/ipv6/conf/all/keep_addr_on_down", "1");
	net_enter(net, NET_NEAR);
	ret = configure_side(net->near_netlink, net->near_index, &sides[NET_NEAR]);
	if (!ret)
		ret = configure_side(net->far_netlink, net->far_index, &sides[NET_FAR]);
	if (!ret)
		ret = set_neighbours(net, sides[NET_FAR].mac);
	return ret;
}

int net_open(struct net *net)
{
	int ret = 0;

	*net = (struct net){.near_ns = -1, .far_ns = -1, .near_netlink = -1, .far_netlink = -1};
	if (geteuid() != 0)
		ret = become_root();
	if (!ret)
		ret = new_namespace(&net->far_ns, &net->far_netlink);
	if (!ret)
		ret = new_namespace(&net->near_ns, &net->near_netlink);
	if (!ret)
		ret = configure(net);
	if (ret)
		net_close(net);
	else
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test does not outlive its runner */
	return ret;
}

void net_close(struct net *net)
{
	const int fds[] = {net->near_ns, net->far_ns, net->near_netlink, net->far_netlink};

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	*net = (struct net){.near_ns = -1, .far_ns = -1, .near_netlink = -1, .far_netlink = -1};
}

/* ---- sockets ---- */

static socklen_t far_address(enum net_family family, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *to6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *to4 = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (family == NET_IPV4) {
		to4->sin_family = AF_INET;
		to4->sin_port = htons(PORT);
		inet_pton(AF_INET, sides[NET_FAR].v4, &to4->sin_addr);
		return sizeof(*to4);
	}
	to6->sin6_family = AF_INET6;
	to6->sin6_port = htons(PORT);
	inet_pton(AF_INET6, family == NET_IPV6 ? sides[NET_FAR].v6 : "::ffff:10.9.0.2",
		  &to6->sin6_addr);
	return sizeof(*to6);
}

int net_socket(struct net *net, enum net_side side, int domain, int type, int protocol)
{
	int fd, ret = net_enter(net, side);

	if (ret)
		return ret;
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	ret = fd < 0 ? -errno : fd;
	net_enter(net, NET_NEAR);
	return ret;
}

static int listen_far(struct net *net, const struct net_pair *how)
{
	struct sockaddr_storage any = {.ss_family = how->family == NET_IPV4 ? AF_INET : AF_INET6};
	const int one = 1;
	int fd, ret;

	fd = net_socket(net, NET_FAR, any.ss_family, SOCK_STREAM, how->protocol);
	if (fd < 0)
		return fd;
	((struct sockaddr_in *)&any)->sin_port = htons(PORT);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (how->far_rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &how->far_rcvbuf, sizeof(how->far_rcvbuf));
	if (bind(fd, (struct sockaddr *)&any, sizeof(struct sockaddr_in6)) || listen(fd, 8)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* A limit that each namespace has for itself, so that no capability is needed. */
static int allow_sndbuf(struct net *net, int bytes)
{
	char text[64];

	snprintf(text, sizeof(text), "4096 %d %d", bytes, bytes);
	return net_sysctl(net, NET_NEAR, "ipv4/tcp_wmem", text);
}

int net_connect(struct net *net, const struct net_pair *how, int *near, int *far)
{
	struct sockaddr_storage to;
	socklen_t len = far_address(how->family, &to);
	int listener, fd, ret = 0;

	if (how->near_sndbuf)
		ret = allow_sndbuf(net, how->near_sndbuf);
	if (ret)
		return ret;
	listener = listen_far(net, how);
	if (listener < 0)
		return listener;
	fd = net_socket(net, NET_NEAR, to.ss_family, SOCK_STREAM, how->protocol);
	ret = fd < 0 ? fd : 0;
	if (!ret && connect(fd, (struct sockaddr *)&to, len))
		ret = -errno;
	if (!ret) {
		*far = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		ret = *far < 0 ? -errno : 0;
	}
	close(listener);
	if (!ret && fcntl(fd, F_SETFL, O_NONBLOCK))
		ret = -errno;
	if (ret && fd >= 0)
		close(fd);
	*near = fd;
	return ret;
}

/* ---- mishaps ---- */

int net_cut(struct net *net, bool cut)
{
	return set_link(net->far_netlink, net->far_index, !cut);
}

/* Until the kernel has seen that near's carrier is there, or is not. */
static int await_running(bool running)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = -ETIMEDOUT;

	if (fd < 0)
		return -errno;
	strcpy(request.ifr_name, sides[NET_NEAR].name);
	for (int i = 0; i < LOOK_TRIES && ret == -ETIMEDOUT; i++) {
		if (ioctl(fd, SIOCGIFFLAGS, &request))
			ret = -errno;
		else if (!!(request.ifr_flags & IFF_RUNNING) == running)
			ret = 0;
		else
			usleep(1000);
	}
	close(fd);
	return ret;
}

int net_await_look(struct net *net)
{
	int ret = net_cut(net, true);

	if (!ret)
		ret = await_running(false);
	if (!ret)
		ret = net_cut(net, false);
	return ret ? ret : await_running(true);
}

int net_misdirect(struct net *net, bool misdirect)
{
	return set_neighbours(net, misdirect ? nobodys_mac : sides[NET_FAR].mac);
}

int net_forget(struct net *net)
{
	int ret = net_sysctl(net, NET_FAR, "ipv4/conf/all/arp_ignore", "8");

	/* three questions, this far apart */
	if (!ret)
		ret = net_sysctl(net, NET_NEAR, "ipv4/neigh/near/retrans_time_ms", "250");
	return ret ? ret : forget_neighbour(net, sides[NET_FAR].v4);
}

int net_slow(struct net *net, uint32_t bytes_per_s)
{
	return set_filter(net, bytes_per_s ? bytes_per_s : FULL_SPEED);
}

int net_drop_queue(struct net *net)
{
	const struct tcmsg at = {
		.tcm_family = AF_UNSPEC, .tcm_ifindex = net->near_index, .tcm_parent = TC_H_ROOT,
	};
	struct message m;

	message_init(&m, RTM_DELQDISC, 0, &at, sizeof(at));
	return talk(net->near_netlink, &m);
}

int net_sysctl(struct net *net, enum net_side side, const char *name, const char *value)
{
	char path[128];
	int ret = net_enter(net, side);

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	ret = write_file(path, value);
	net_enter(net, NET_NEAR);
	return ret;
}

/* ---- what this machine can do: tried in a child, which leaves nothing behind ---- */

static int try_connection(void)
{
	struct net net;
	int near, far, ret = net_open(&net);

	return ret ? ret : net_connect(&net, &(struct net_pair){.family = NET_IPV6}, &near, &far);
}

static int try_slow(void)
{
	struct net net;
	int ret = net_open(&net);

	return ret ? ret : net_slow(&net, 100000);
}

/* Exempt from the limit on locked memory, or has none? */
static int try_lock(void)
{
	const struct rlimit tiny = {65536, 65536};
	static char memory[1 << 20];
	const int one = 1;
	struct rlimit limit;
	struct net net;
	int near, far, ret = -getrlimit(RLIMIT_MEMLOCK, &limit);

	if (ret || limit.rlim_cur == RLIM_INFINITY)
		return ret;
	ret = net_open(&net);
	if (!ret)
		ret = net_connect(&net, &(struct net_pair){.near_sndbuf = 4 << 20}, &near, &far);
	if (ret)
		return ret;
	setsockopt(near, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
	setrlimit(RLIMIT_MEMLOCK, &tiny);
	return send(near, memory, sizeof(memory), MSG_ZEROCOPY) < 0 ? -errno : 0;
}

static int try_optmem(void)
{
	struct net net;
	int ret = net_open(&net);

	return ret ? ret : net_sysctl(&net, NET_NEAR, "core/optmem_max", "4096");
}

const char *net_try(int (*try)(void), const char *what)
{
	static char why[128];
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(-try());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "cannot fork";
	if (!status)
		return NULL;
	snprintf(why, sizeof(why), "%s: %s", what,
		 WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "killed");
	return why;
}

const char *net_missing(void)
{
	return net_try(try_connection, "no private network namespaces");
}

const char *net_missing_slow(void)
{
	return net_try(try_slow, "no token-bucket filter (sch_tbf)");
}

const char *net_missing_optmem(void)
{
	return net_try(try_optmem, "no optmem_max of a namespace's own");
}

const char *net_missing_lock(void)
{
	return net_try(try_lock, "locked memory is limited (no CAP_IPC_LOCK)");
}
