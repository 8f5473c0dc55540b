/* SPDX-License-Identifier: BSD-2-Clause */
/* control.c - room for the control message of IPv4, and IPv6 */
#include <stdio.h>
#include <sys/socket.h>

#include <poll.h>

#include "by-hand.h"

int main(void)
{
	char control[48]; /* wrong: enough for IPv4; IPv6 takes 60 */
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct pollfd poller = {.events = 0};
	struct pair pair;
	char *buffer = buffer_of(4096);
	ssize_t ret;

	pair_open(&pair, AF_INET6);
	send_all(pair.fd, buffer, 4096);
	peer_reads(pair.peer, 4096);
	poller.fd = pair.fd;
	need("a notification", poll(&poller, 1, 2000) > 0 ? 0 : -1, false);
	ret = recvmsg(pair.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
	need("recvmsg", ret, false);
	printf("the notification is %s\n", message.msg_flags & MSG_CTRUNC ? "cut" : "whole");
	return !(message.msg_flags & MSG_CTRUNC);
}
