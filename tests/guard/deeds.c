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
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/errqueue.h> /* after time.h: uses struct timespec */

#define BYTES 131072
#define THREADS 4

static int near = -1, far = -1;
static char *buffer;

#define must(claim) \
	do { \
		if (!(claim)) { \
			fprintf(stderr, "deeds: line %d: %s: %s\n", __LINE__, #claim, \
				strerror(errno)); \
			exit(3); \
		} \
	} while (0)

/* The two ends of a connection; the receiving one holds little. */
static void connect_pair(int *one, int *other)
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

static void set_up(void)
{
	buffer = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(buffer != MAP_FAILED);
	memset(buffer, 'a', BYTES);
	connect_pair(&near, &far);
}

/* Reads what the receiver has, until nothing has come for so long. */
static void drain(int ms)
{
	static char sink[65536];
	struct pollfd one = {.fd = far, .events = POLLIN};

	while (poll(&one, 1, ms) == 1 && recv(far, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

/* One message of the error queue: how many ids, 0 if there is none. */
static unsigned reap_one(int fd)
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

/* Reads until so many ids have been notified. */
static void reap(int fd, unsigned ids)
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

/* ---- ways to send; each returns how many ids it was given ---- */

static unsigned by_send(void)
{
	must(send(near, buffer, BYTES, MSG_ZEROCOPY | MSG_DONTWAIT) > 0);
	return 1;
}

static unsigned by_sendto(void)
{
	must(sendto(near, buffer, BYTES, MSG_ZEROCOPY | MSG_DONTWAIT, NULL, 0) > 0);
	return 1;
}

static unsigned by_sendmsg(void)
{
	struct iovec iov[3] = {{buffer, 100}, {buffer + 100, 0}, {buffer + 100, BYTES - 100}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 3};

	must(sendmsg(near, &message, MSG_ZEROCOPY | MSG_DONTWAIT) > 0);
	return 1;
}

static unsigned by_sendmmsg(void)
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

static unsigned (*const ways[])(void) = {by_send, by_sendto, by_sendmsg, by_sendmmsg};
static unsigned (*way)(void) = by_send;

/* ---- wrong ---- */

static void changed(void)
{
	unsigned ids = way();

	buffer[5000] = 'b';
	reap(near, ids);
}

static void changed_and_read_through_a_duplicate(void)
{
	unsigned ids = by_send();
	int copy = dup(near);

	must(!close(near));
	near = fcntl(copy, F_DUPFD_CLOEXEC, 100);
	must(near >= 100 && !close(copy));
	buffer[5000] = 'b';
	reap(near, ids);
}

static void changed_beside_a_child(void)
{
	unsigned ids = by_send();
	int status;
	pid_t child = fork();

	if (!child) {
		buffer[0] = 'c'; /* its own copy */
		close(near);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && !status);
	buffer[5000] = 'b';
	reap(near, ids);
}

static void changed_in_a_child(void)
{
	int status;
	pid_t child = fork();

	if (!child) {
		set_up();
		changed();
		exit(0);
	}
	must(waitpid(child, &status, 0) == child && WIFEXITED(status));
	exit(WEXITSTATUS(status));
}

static void changed_and_ended(void)
{
	by_send();
	buffer[5000] = 'b';
}

static void unmapped(void)
{
	unsigned ids = by_send();

	must(!munmap(buffer, BYTES / 2));
	reap(near, ids);
}

static void closed(void)
{
	by_send();
	must(!close(near));
}

static void closed_by_dup2(void)
{
	by_send();
	must(dup2(STDIN_FILENO, near) == near);
}

static void closed_by_a_range(void)
{
	by_send();
	must(!close_range(near, near, 0));
}

static void never_read(void)
{
	by_send();
	drain(100);
}

static void never_read_and_closed(void)
{
	by_send();
	drain(100);
	must(!close(near));
}

static void never_read_and_ended_at_once(void)
{
	by_send();
	drain(100);
	_exit(0);
}

static void not_read_for_long(void)
{
	for (int i = 0; i < 50; i++) {
		must(send(near, buffer, 100, MSG_ZEROCOPY) == 100);
		drain(1);
	}
	reap(near, 50);
}

static int epoll_of(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	must(epoll >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

static void in_one_epoll_twice(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_of(near);

	reap(near, by_send());
	must(!epoll_ctl(epoll, EPOLL_CTL_ADD, dup(near), &event));
}

static void in_two_epolls(void)
{
	epoll_of(near);
	epoll_of(dup(near));
	reap(near, by_send());
}

static void in_one_poll_twice(void)
{
	struct pollfd both[2] = {{.fd = near, .events = POLLOUT}, {.fd = dup(near)}};

	reap(near, by_send());
	must(poll(both, 2, 0) > 0);
}

/* ---- threads ---- */

static pthread_barrier_t barrier;
static volatile bool wrong;

/* Sends that overlap: each thread its part of the buffer, all on one socket. */
static void *send_parts(void *argument)
{
	size_t part = BYTES / THREADS, number = (uintptr_t)argument;

	for (int round = 0; round < 20; round++) {
		ssize_t ret;

		pthread_barrier_wait(&barrier);
		ret = send(near, buffer + number * part, part, MSG_ZEROCOPY);
		must(ret == (ssize_t)part);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void *read_always(void *argument)
{
	static char sink[65536];

	(void)argument;
	while (recv(far, sink, sizeof(sink), 0) > 0)
		;
	return NULL;
}

/* The main thread reads every notification, and then the memory is its own. */
static void threads(void)
{
	pthread_t sender[THREADS], reader;

	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	if (!wrong)
		pthread_create(&reader, NULL, read_always, NULL);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&sender[i], NULL, send_parts, (void *)i);
	for (int round = 0; round < 20; round++) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		if (wrong && round == 7)
			buffer[BYTES - 1] ^= 1;
		reap(near, THREADS);
		memset(buffer, round, BYTES);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(sender[i], NULL);
}

static void changed_beside_threads(void)
{
	wrong = true;
	threads();
}

/* One thread sends, another reads notifications, perhaps before the send returns, and
 * writes at once to what has come back. */
#define SLICES 16
#define SENDS 5000

static _Atomic unsigned sent_count, reaped_count;

static void *reap_and_write(void *argument)
{
	size_t slice = BYTES / SLICES;

	(void)argument;
	while (reaped_count < SENDS) {
		struct pollfd one = {.fd = near};
		unsigned got = reap_one(near);

		for (unsigned i = 0; i < got; i++) {
			unsigned id = reaped_count;

			memset(buffer + id % SLICES * slice, (int)id, slice);
			reaped_count++;
		}
		if (!got)
			poll(&one, 1, 1);
	}
	return NULL;
}

static void reaped_by_another_thread(void)
{
	size_t slice = BYTES / SLICES;
	pthread_t reader, reaper;

	pthread_create(&reader, NULL, read_always, NULL);
	pthread_create(&reaper, NULL, reap_and_write, NULL);
	for (unsigned id = 0; id < SENDS; id++) {
		while (id - reaped_count >= SLICES)
			usleep(10);
		must(send(near, buffer + id % SLICES * slice, slice, MSG_ZEROCOPY) ==
		     (ssize_t)slice);
		sent_count++;
	}
	pthread_join(reaper, NULL);
}

/* ---- right ---- */

static void right(void)
{
	for (size_t i = 0; i < 20; i++) {
		way = ways[i % 4];
		reap(near, way());
		memset(buffer, (int)i, BYTES);
	}
	must(!close(near));
}

static void right_with_parts(void)
{
	unsigned ids = 0;
	ssize_t ret;

	while ((ret = send(near, buffer, BYTES, MSG_ZEROCOPY | MSG_DONTWAIT)) > 0)
		ids++;
	must(ret < 0 && errno == EAGAIN && ids > 0);
	reap(near, ids);
	memset(buffer, 0, BYTES);
}

static void right_without_asking(void)
{
	int off = 0;

	must(!setsockopt(near, SOL_SOCKET, SO_ZEROCOPY, &off, sizeof(off)));
	by_send(); /* a copy */
	memset(buffer, 0, BYTES);
	must(!reap_one(near));
	drain(100);
	must(!close(near));
}

static void right_with_errors(void)
{
	struct msghdr bad = {.msg_iov = (struct iovec *)8, .msg_iovlen = 2};
	struct iovec far_away = {(char *)8, 4096};
	struct msghdr nowhere = {.msg_iov = &far_away, .msg_iovlen = 1};

	must(sendmsg(near, NULL, MSG_ZEROCOPY) < 0 && errno == EFAULT);
	must(sendmsg(near, &bad, MSG_ZEROCOPY) < 0 && errno == EFAULT);
	must(sendmsg(near, &nowhere, MSG_ZEROCOPY) < 0 && errno == EFAULT);
	must(send(near, buffer, 0, MSG_ZEROCOPY) == 0);
	must(send(-1, buffer, 1, MSG_ZEROCOPY) < 0 && errno == EBADF);
	must(close(12345) < 0 && errno == EBADF);
	must(dup2(12345, near) < 0 && errno == EBADF);
	reap(near, by_send());
	memset(buffer, 0, BYTES);
}

/* The connection is ended while it is in flight: then all of it is given back. */
static void right_by_disconnect(void)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
	unsigned ids = by_sendmmsg();

	must(!connect(near, &nowhere, sizeof(nowhere)));
	reap(near, ids);
	memset(buffer, 0, BYTES);
	must(!close(near));
}

static void right_by_reset(void)
{
	unsigned ids = by_sendmmsg();

	must(!close(far));
	far = near; /* nothing to receive there */
	reap(near, ids);
	memset(buffer, 0, BYTES);
	must(!close(near));
}

/* A duplicate keeps it open: nothing is lost with the first close. */
static void right_with_duplicates(void)
{
	unsigned ids = by_send();
	int copy = dup(near), other = dup2(near, 200);

	must(other == 200 && !close(near) && !close(copy));
	reap(other, ids);
	memset(buffer, 0, BYTES);
	must(!close(other));
}

/* One descriptor in two sets, and a duplicate that nobody waits for. */
static void right_with_epoll(void)
{
	int one = epoll_of(near), other = epoll_of(near), copy = dup(near);

	reap(near, by_send());
	must(!epoll_ctl(one, EPOLL_CTL_DEL, near, NULL) && !close(other));
	must(!close(one));
	epoll_of(copy);
	reap(near, by_send());
}

/* Sends and reaps in a child, of a socket that the parent leaves alone after it. */
static void right_in_a_child(void)
{
	int status;
	pid_t child;

	reap(near, by_send());
	child = fork();
	if (!child) {
		reap(near, by_send());
		memset(buffer, 'c', BYTES);
		exit(0);
	}
	must(waitpid(child, &status, 0) == child && !status);
	/* ids went on without this process; what it sends now is not its second */
	for (int i = 0; i < 10; i++) {
		reap(near, by_send());
		memset(buffer, i, BYTES);
	}
	must(!close(near));
}

/* The child has the socket; this process closes its descriptor and writes no more. */
static void right_handed_to_a_child(void)
{
	unsigned ids = by_send();
	int status;
	pid_t child = fork();

	if (!child) {
		reap(near, ids);
		exit(0);
	}
	must(!close(near));
	must(waitpid(child, &status, 0) == child && !status);
}

static void right_by_vfork(void)
{
	unsigned ids = by_send();
	pid_t child = vfork();
	int status;

	if (!child) {
		close(near);
		_exit(0);
	}
	must(waitpid(child, &status, 0) == child && !status);
	reap(near, ids);
	memset(buffer, 0, BYTES);
	must(!close(near));
}

/* Its next id is not 0 for whoever begins to look only now. */
static void right_after_exec(void)
{
	char number[16], *const arguments[] = {"deeds", "after-exec", number, NULL};

	reap(near, by_send());
	must(fcntl(near, F_SETFD, 0) == 0 && fcntl(far, F_SETFD, 0) == 0);
	snprintf(number, sizeof(number), "%d,%d", near, far);
	execv("/proc/self/exe", arguments);
}

static void after_exec(const char *number)
{
	close(near);
	close(far);
	must(sscanf(number, "%d,%d", &near, &far) == 2);
	for (int i = 0; i < 10; i++) {
		reap(near, by_send());
		memset(buffer, i, BYTES);
	}
}

static void changed_after_exec(void)
{
	char *const arguments[] = {"deeds", "changed-send", NULL};

	execv("/proc/self/exe", arguments);
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned (*way)(void);
} deeds[] = {
	{"changed-send", changed, by_send},
	{"changed-sendto", changed, by_sendto},
	{"changed-sendmsg", changed, by_sendmsg},
	{"changed-sendmmsg", changed, by_sendmmsg},
	{"changed-threads", changed_beside_threads, NULL},
	{"changed-dup", changed_and_read_through_a_duplicate, NULL},
	{"changed-fork", changed_beside_a_child, NULL},
	{"changed-child", changed_in_a_child, NULL},
	{"changed-exec", changed_after_exec, NULL},
	{"changed-end", changed_and_ended, NULL},
	{"unmapped", unmapped, NULL},
	{"closed", closed, NULL},
	{"closed-dup2", closed_by_dup2, NULL},
	{"closed-range", closed_by_a_range, NULL},
	{"never-read", never_read, NULL},
	{"never-read-closed", never_read_and_closed, NULL},
	{"never-read-_exit", never_read_and_ended_at_once, NULL},
	{"not-read", not_read_for_long, NULL},
	{"epoll-twice", in_one_epoll_twice, NULL},
	{"epoll-two", in_two_epolls, NULL},
	{"poll-twice", in_one_poll_twice, NULL},
	{"right", right, NULL},
	{"right-parts", right_with_parts, NULL},
	{"right-copy", right_without_asking, NULL},
	{"right-errors", right_with_errors, NULL},
	{"right-disconnect", right_by_disconnect, NULL},
	{"right-reset", right_by_reset, NULL},
	{"right-dup", right_with_duplicates, NULL},
	{"right-epoll", right_with_epoll, NULL},
	{"right-child", right_in_a_child, NULL},
	{"right-handed", right_handed_to_a_child, NULL},
	{"right-vfork", right_by_vfork, NULL},
	{"right-exec", right_after_exec, NULL},
	{"right-threads", threads, NULL},
	{"right-reaper", reaped_by_another_thread, NULL},
};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "after-exec")) {
		set_up();
		after_exec(argv[2]);
		return 0;
	}
	for (size_t i = 0; argc == 2 && i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (strcmp(argv[1], deeds[i].name))
			continue;
		set_up();
		if (deeds[i].way)
			way = deeds[i].way;
		deeds[i].run();
		puts("done");
		return 0;
	}
	fprintf(stderr, "usage: deeds NAME\n");
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
		fprintf(stderr, "\t%s\n", deeds[i].name);
	return 2;
}
