/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netns.c - two network namespaces joined by a veth pair, and the cut
 *
 * Owns everything that touches the network's set-up. The namespaces have no
 * name: they live as long as this process and its sockets, so nothing is left
 * behind however the program ends, and nothing outside them is changed.
 *
 * A socket belongs to the namespace it was created in. So the receiver's
 * namespace is entered once, to create a route socket and a listening socket,
 * and is left for good; these two are all that is needed of it.
 *
 * The cut gives each end's neighbour entry a link-layer address that nobody has.
 * Frames leave, and nobody hears them: what two hosts see when a cable is pulled
 * behind a switch, or one of them loses power. Taking one end of the pair down
 * would be the plainer way, but is another accident: measured, veth then tells
 * the sender's TCP of every packet it drops, which retries each 500 ms and keeps
 * all of it as unsent, with nothing unacknowledged at all.
 *
 * The jam of way 8 is a token-bucket filter on the near end.
 *
 * All entries are permanent, else packets would sit in the ARP queue for seconds.
 */
#define _GNU_SOURCE
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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vanish.h"

#define NEAR_NAME "sender"
#define FAR_NAME "receiver"
#define NEAR_ADDRESS "192.0.2.1"
#define FAR_ADDRESS "192.0.2.2"
#define PORT 4420
#define LINK_RATE 625000000 /* bytes per second */

/* Of the filter: bytes that it holds, and bytes per second and at once. */
#define FILTER_BYTES (64 << 20)
#define JAMMED_RATE 16
#define JAMMED_BURST_BYTES 4096
#define CLEAR_RATE 1250000000
#define CLEAR_BURST_BYTES (1 << 20)

static const unsigned char near_mac[6] = {0x02, 0, 0, 0, 0, 1};
static const unsigned char far_mac[6] = {0x02, 0, 0, 0, 0, 2};
static const unsigned char nobodys_mac[6] = {0x02, 0, 0, 0, 0, 3};

/* ---- netlink: build a message, send it, wait for its acknowledgement ---- */

struct request {
	struct nlmsghdr header;
	char body[512];
};

static void *put(struct request *request, const void *data, size_t len)
{
	char *to = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);

	if (data)
		memcpy(to, data, len);
	request->header.nlmsg_len = (uint32_t)((size_t)(to - (char *)request) + len);
	return to;
}

static void begin(struct request *request, uint16_t type, uint16_t flags, const void *fixed,
		  size_t len)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = NLMSG_HDRLEN;
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	put(request, fixed, len);
}

static struct rtattr *attribute(struct request *request, uint16_t type, const void *data,
				size_t len)
{
	struct rtattr head = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(len)};
	struct rtattr *at = put(request, &head, RTA_LENGTH(0));

	if (len)
		put(request, data, len);
	return at;
}

static void nest_end(struct request *request, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)request + request->header.nlmsg_len - (char *)nest);
}

static int talk(int fd, struct request *request)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char echo[512];
	} reply;
	ssize_t n;

	if (send(fd, request, request->header.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &reply, sizeof(reply), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(reply.error)) ||
	    reply.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return reply.error.error;
}

/* ---- what we ask of it ---- */

static int make_pair(int fd, int far_namespace)
{
	struct ifinfomsg none = {.ifi_family = AF_UNSPEC};
	struct rtattr *info, *data, *peer;
	struct request request;

	begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &none, sizeof(none));
	attribute(&request, IFLA_IFNAME, NEAR_NAME, sizeof(NEAR_NAME));
	attribute(&request, IFLA_ADDRESS, near_mac, sizeof(near_mac));
	info = attribute(&request, IFLA_LINKINFO, NULL, 0);
	attribute(&request, IFLA_INFO_KIND, "veth", 4);
	data = attribute(&request, IFLA_INFO_DATA, NULL, 0);
	peer = attribute(&request, VETH_INFO_PEER, NULL, 0);
	put(&request, &none, sizeof(none));
	attribute(&request, IFLA_IFNAME, FAR_NAME, sizeof(FAR_NAME));
	attribute(&request, IFLA_ADDRESS, far_mac, sizeof(far_mac));
	attribute(&request, IFLA_NET_NS_FD, &far_namespace, sizeof(far_namespace));
	nest_end(&request, peer);
	nest_end(&request, data);
	nest_end(&request, info);
	return talk(fd, &request);
}

static int set_up(int fd, const char *name)
{
	struct ifinfomsg link = {.ifi_change = IFF_UP, .ifi_flags = IFF_UP};
	struct request request;

	begin(&request, RTM_NEWLINK, 0, &link, sizeof(link));
	attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
	return talk(fd, &request);
}

/* The index of an interface in the namespace of @fd, which may not be ours. */
static int index_of(int fd, const char *name, int *index)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	struct request request;
	struct {
		struct nlmsghdr header;
		struct ifinfomsg link;
		char rest[16384];
	} reply;
	ssize_t n;

	begin(&request, RTM_GETLINK, 0, &link, sizeof(link));
	request.header.nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
	if (send(fd, &request, request.header.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &reply, sizeof(reply), 0);
	if (n < 0)
		return -errno;
	if (reply.header.nlmsg_type != RTM_NEWLINK)
		return -ENODEV;
	*index = reply.link.ifi_index;
	return 0;
}

static int add_address(int fd, const char *name, const char *address)
{
	struct ifaddrmsg message = {.ifa_family = AF_INET, .ifa_prefixlen = 24};
	struct request request;
	struct in_addr in;
	int index, r;

	r = index_of(fd, name, &index);
	if (r)
		return r;
	message.ifa_index = (unsigned)index;
	inet_pton(AF_INET, address, &in);
	begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &message, sizeof(message));
	attribute(&request, IFA_LOCAL, &in, sizeof(in));
	attribute(&request, IFA_ADDRESS, &in, sizeof(in));
	return talk(fd, &request);
}

static int add_neighbour(int fd, const char *name, const char *address, const unsigned char *mac)
{
	struct ndmsg message = {.ndm_family = AF_INET, .ndm_state = NUD_PERMANENT};
	struct request request;
	struct in_addr in;
	int r;

	r = index_of(fd, name, &message.ndm_ifindex);
	if (r)
		return r;
	inet_pton(AF_INET, address, &in);
	begin(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &message, sizeof(message));
	attribute(&request, NDA_DST, &in, sizeof(in));
	attribute(&request, NDA_LLADDR, mac, 6);
	return talk(fd, &request);
}

/* ---- namespaces ---- */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

/*
 * Become root in a user namespace of our own, for those who are not root outside.
 * What this cannot give is a larger share of locked memory; vanish.c sees to that.
 */
int netns_enter_user(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[32];
	int r;

	if (unshare(CLONE_NEWUSER))
		return -errno;
	write_file("/proc/self/setgroups", "deny"); /* not there before 3.19 */
	snprintf(map, sizeof(map), "0 %u 1", uid);
	r = write_file("/proc/self/uid_map", map);
	if (r)
		return r;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return write_file("/proc/self/gid_map", map);
}

static int listen_here(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 1)) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* A new namespace for this thread, and a route socket in it. */
static int enter_namespace(int *netlink)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	*netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return *netlink < 0 ? -errno : 0;
}

/* Tell both ends where the other one is; or where it is not. */
static int introduce(const struct link *link, const unsigned char *near, const unsigned char *far)
{
	int r = add_neighbour(link->near_netlink, NEAR_NAME, FAR_ADDRESS, far);

	return r ? r : add_neighbour(link->far_netlink, FAR_NAME, NEAR_ADDRESS, near);
}

static int configure(const struct link *link, int far_namespace)
{
	int r = make_pair(link->near_netlink, far_namespace);

	if (!r)
		r = add_address(link->near_netlink, NEAR_NAME, NEAR_ADDRESS);
	if (!r)
		r = add_address(link->far_netlink, FAR_NAME, FAR_ADDRESS);
	if (!r)
		r = set_up(link->near_netlink, NEAR_NAME);
	if (!r)
		r = set_up(link->far_netlink, FAR_NAME);
	return r ? r : introduce(link, near_mac, far_mac);
}

/*
 * A TCP buffer size for sockets that are made in this namespace from now on. If it
 * cannot be written, link_connect() or the verdict will see.
 */
static void buffer_size(const char *path, size_t size_bytes)
{
	char text[64];

	snprintf(text, sizeof(text), "4096 %zu %zu", size_bytes, size_bytes);
	write_file(path, text);
}

/*
 * Leaves this thread in the sender's namespace. There, sockets are born with room
 * for everything in flight: tcp_wmem is each namespace's own, and may be written
 * in an unprivileged one, where SO_SNDBUFFORCE may not be used. So is optmem_max,
 * since Linux 6.8; before that it cannot even be seen from in here. The receiver's
 * sockets get as much room, so that its window is open when the link is cut: a
 * host that vanishes, not one that does not read.
 */
int link_open(struct link *link, size_t buffer_bytes)
{
	int far_namespace, r;

	r = enter_namespace(&link->far_netlink);
	if (r)
		return r;
	far_namespace = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (far_namespace < 0)
		return -errno;
	buffer_size("/proc/sys/net/ipv4/tcp_rmem", buffer_bytes);
	link->listener = listen_here();
	if (link->listener < 0)
		return link->listener;
	r = enter_namespace(&link->near_netlink);
	if (r)
		return r;
	r = configure(link, far_namespace);
	close(far_namespace);
	buffer_size("/proc/sys/net/ipv4/tcp_wmem", buffer_bytes);
	link->own_options = !write_file("/proc/sys/net/core/optmem_max", "1048576");
	return r;
}

/*
 * The sender's socket. Refuses one that could not hold what has to be in flight.
 * It is paced, to what a 5 Gbit/s link carries, so that the receiver keeps up.
 */
int link_connect(size_t buffer_bytes)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	unsigned rate = LINK_RATE;
	int fd, buffer = (int)buffer_bytes;
	socklen_t len = sizeof(buffer);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	inet_pton(AF_INET, FAR_ADDRESS, &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		goto fail;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, &len))
		goto fail;
	if ((size_t)buffer >= buffer_bytes)
		return fd;
	buffer = (int)buffer_bytes;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)))
		goto fail;
	return fd;
fail:
	buffer = -errno;
	close(fd);
	return buffer;
}

int link_cut(const struct link *link)
{
	return introduce(link, nobodys_mac, nobodys_mac);
}

int link_restore(const struct link *link)
{
	return introduce(link, near_mac, far_mac);
}

/*
 * A token-bucket filter on the near end. Jammed, its next packet is due in an hour or so;
 * packets that are in it stay in it, and have references to their pages.
 */
static int filter(const struct link *link, uint32_t bytes_per_s, uint32_t burst_bytes)
{
	struct tcmsg at = {.tcm_family = AF_UNSPEC, .tcm_parent = TC_H_ROOT, .tcm_handle = 0x10000};
	const struct tc_tbf_qopt parameters = {
		.rate = {.rate = bytes_per_s, .linklayer = 1 /* ethernet */},
		.limit = FILTER_BYTES,
	};
	struct request request;
	struct rtattr *options;
	int r = index_of(link->near_netlink, NEAR_NAME, &at.tcm_ifindex);

	if (r)
		return r;
	begin(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &at, sizeof(at));
	attribute(&request, TCA_KIND, "tbf", 4);
	options = attribute(&request, TCA_OPTIONS, NULL, 0);
	attribute(&request, TCA_TBF_PARMS, &parameters, sizeof(parameters));
	attribute(&request, TCA_TBF_BURST, &burst_bytes, sizeof(burst_bytes));
	nest_end(&request, options);
	return talk(link->near_netlink, &request);
}

int link_jam(const struct link *link)
{
	return filter(link, JAMMED_RATE, JAMMED_BURST_BYTES);
}

/* With the next packet, which is a datagram to nobody, the filter begins to send. */
int link_clear(const struct link *link)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int r = filter(link, CLEAR_RATE, CLEAR_BURST_BYTES), fd;

	if (r)
		return r;
	inet_pton(AF_INET, FAR_ADDRESS, &to.sin_addr);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		r = -errno;
	close(fd);
	return r;
}
