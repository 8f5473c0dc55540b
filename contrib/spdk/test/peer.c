/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * peer.c - one socket of a module of SPDK, and a plain one at the other end of a cable
 */
#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PORT 4420

static int failed;

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void check_that(bool so, const char *what, const char *format, ...)
{
	va_list args;

	if (so)
		return;
	failed = 1;
	printf("FAIL: %s: ", what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

int failures(void)
{
	return failed;
}

static void must(bool so, const char *what)
{
	if (so)
		return;
	printf("FAIL: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void readable(void *arg, struct spdk_sock_group *group, struct spdk_sock *sock)
{
	struct scene *scene = arg;

	(void)group;
	(void)sock;
	scene->told++;
}

static void dial(struct scene *scene)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };

	inet_pton(AF_INET, "10.9.0.1", &to.sin_addr);
	must(net_enter(&scene->net, NET_FAR) == 0, "enter");
	scene->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(scene->peer, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	must(net_enter(&scene->net, NET_NEAR) == 0, "enter");
}

void scene_open(struct scene *scene, const char *module, bool zerocopy)
{
	struct spdk_sock_opts opts = { .opts_size = sizeof(opts) };
	const char *missing = net_missing();

	if (missing) {
		printf("skipped: %s\n", missing);
		exit(SKIPPED);
	}
	memset(scene, 0, sizeof(*scene));
	must(net_open(&scene->net) == 0, "network");
	must(net_await_look(&scene->net) == 0, "network");
	spdk_sock_get_default_opts(&opts);
	opts.zcopy = zerocopy;
	opts.ack_timeout = STALL_MS;
	scene->listener = spdk_sock_listen_ext("10.9.0.1", PORT, module, &opts);
	must(scene->listener, "listen");
	dial(scene);
	while (!(scene->sock = spdk_sock_accept(scene->listener)))
		poll(NULL, 0, 1);
	scene->group = spdk_sock_group_create(NULL);
	must(scene->group, "group");
	must(spdk_sock_group_add_sock(scene->group, scene->sock, readable, scene) == 0, "add");
	for (int i = 0; i < JOBS; i++) {
		scene->jobs[i].data = mmap(NULL, JOB_BYTES, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(scene->jobs[i].data != MAP_FAILED, "mmap");
	}
}

static void called_back(void *arg, int status)
{
	struct job *job = arg;

	job->called++;
	job->status = status;
	job->called_ns = now_ns();
}

void scene_resend(struct scene *scene, int i, size_t bytes)
{
	struct job *job = &scene->jobs[i];

	job->called = 0;
	job->iov = (struct iovec){ job->data, bytes };
	job->request.cb_fn = called_back;
	job->request.cb_arg = job;
	job->request.iovcnt = 1;
	spdk_sock_writev_async(scene->sock, &job->request);
}

void scene_send(struct scene *scene, int i, char byte)
{
	memset(scene->jobs[i].data, byte, JOB_BYTES);
	scene_resend(scene, i, JOB_BYTES);
	check(!scene->jobs[i].called, "a callback from within writev_async");
}

static int missing(const struct scene *scene, int count)
{
	int left = 0;

	for (int i = 0; i < count; i++)
		left += !scene->jobs[i].called;
	return left;
}

int scene_await(struct scene *scene, int count, unsigned ms)
{
	const uint64_t end_ns = now_ns() + ms * (uint64_t)1000000;

	while (missing(scene, count) && now_ns() < end_ns)
		spdk_sock_group_poll(scene->group);
	return missing(scene, count);
}

void scene_recycle(struct scene *scene, char byte)
{
	for (int i = 0; i < JOBS; i++)
		memset(scene->jobs[i].data, byte, JOB_BYTES);
}

uint64_t scene_drink(struct scene *scene, char foreign, uint64_t *found, unsigned ms, bool *end)
{
	static char data[JOB_BYTES];
	struct pollfd fd = { .fd = scene->peer, .events = POLLIN };
	uint64_t bytes = 0;
	ssize_t got = -1;

	*found = 0;
	while (poll(&fd, 1, (int)ms) > 0 &&
	       (got = recv(scene->peer, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		bytes += (uint64_t)got;
		for (ssize_t i = 0; i < got; i++)
			*found += data[i] == foreign;
	}
	*end = got == 0;
	return bytes;
}

void scene_remove_and_close(struct scene *scene)
{
	int ret = spdk_sock_group_remove_sock(scene->group, scene->sock);

	check(ret == 0, "%d", ret);
	ret = spdk_sock_close(&scene->sock);
	check(ret == 0, "%d", ret);
	check(!scene->sock, "it is still there");
}
