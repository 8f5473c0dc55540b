/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * deeds.c - small programs that send without copying: right ones and wrong ones
 *
 *	deeds NAME
 *
 * Each name is a deed, over a connection of this process to itself on loopback. Memory
 * is in flight there for as long as the receiver does not read. It knows nothing of
 * zcreq: check_guard.sh runs it under zcreq-guard and says what has to be found.
 */
#include "tools/guard/deeds.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

int near = -1, far = -1;
char *buffer;

void connect_pair(int *one, int *other)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), little = 16384, much = 1 << 22, on = 1;
	int segment = 1400; /* loopback's own is larger than what the receiver holds */

	must(!setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)));
	must(!setsockopt(listener, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)));
	must(!bind(listener, (struct sockaddr *)&address, len) && !listen(listener, 1));
	must(!getsockname(listener, (struct sockaddr *)&address, &len));
	*one = socket(AF_INET, SOCK_STREAM, 0);
	must(!setsockopt(*one, SOL_SOCKET, SO_SNDBUF, &much, sizeof(much)));
	must(!setsockopt(*one, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)));
	must(!connect(*one, (struct sockaddr *)&address, len));
	*other = accept(listener, NULL, NULL);
	must(*other >= 0);
	close(listener);
}

void set_up(void)
{
	buffer = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(buffer != MAP_FAILED);
	memset(buffer, 'a', BYTES);
	connect_pair(&near, &far);
}

void drain(int ms)
{
	static char sink[65536];
	struct pollfd one = {.fd = far, .events = POLLIN};

	while (poll(&one, 1, ms) == 1 && recv(far, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

unsigned reap_one(int fd)
{
	char control[128];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;
	struct sock_extended_err err;

	errno = 77;
	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
		must(errno == EAGAIN);
		return 0;
	}
	must(errno == 77); /* as it was */
	cmsg = CMSG_FIRSTHDR(&message);
	must(cmsg);
	memcpy(&err, CMSG_DATA(cmsg), sizeof(err));
	must(err.ee_origin == SO_EE_ORIGIN_ZEROCOPY);
	return err.ee_data - err.ee_info + 1;
}

void reap(int fd, unsigned ids)
{
	for (int tries = 0; ids && tries < 5000; tries++) {
		struct pollfd one = {.fd = fd};
		unsigned got;

		while (ids && (got = reap_one(fd))) {
			must(got <= ids);
			ids -= got;
		}
		if (ids) {
			drain(1);
			poll(&one, 1, 1);
		}
	}
	must(!ids);
}

unsigned by_send(void)
{
	must(send(near, buffer, BYTES, MSG_ZEROCOPY | MSG_DONTWAIT) > 0);
	return 1;
}

unsigned by_sendto(void)
{
	must(sendto(near, buffer, BYTES, MSG_ZEROCOPY | MSG_DONTWAIT, NULL, 0) > 0);
	return 1;
}

unsigned by_sendmsg(void)
{
	struct iovec iov[3] = {{buffer, 100}, {buffer + 100, 0}, {buffer + 100, BYTES - 100}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 3};

	must(sendmsg(near, &message, MSG_ZEROCOPY | MSG_DONTWAIT) > 0);
	return 1;
}

unsigned by_sendmmsg(void)
{
	struct iovec iov[3] = {{buffer, 1000}, {buffer + 1000, 0}, {buffer + 1000, BYTES - 1000}};
	struct mmsghdr messages[3] = {0};

	for (int i = 0; i < 3; i++) {
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	must(sendmmsg(near, messages, 3, MSG_ZEROCOPY | MSG_DONTWAIT) == 3);
	return 2; /* the empty one has none */
}

/* Runs the deed of that name, if it is one of these. */
static bool run(const struct deed *deeds, const char *name)
{
	for (; deeds->name; deeds++) {
		if (strcmp(name, deeds->name))
			continue;
		set_up();
		deeds->run();
		puts("done");
		return true;
	}
	return false;
}

static void list(const struct deed *deeds)
{
	for (; deeds->name; deeds++)
		fprintf(stderr, "\t%s\n", deeds->name);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "after-exec")) {
		set_up();
		after_exec(argv[2]);
		return 0;
	}
	if (argc == 2 && (run(wrong_deeds, argv[1]) || run(thread_deeds, argv[1]) ||
			  run(right_deeds, argv[1])))
		return 0;
	fprintf(stderr, "usage: deeds NAME\n");
	list(wrong_deeds);
	list(thread_deeds);
	list(right_deeds);
	return 2;
}
