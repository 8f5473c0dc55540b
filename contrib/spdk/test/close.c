/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * close.c - what a close means: with requests under way, with nothing, with a queue that holds
 */
#include <errno.h>
#include <stdio.h>

#include "peer.h"

enum { CLOSE_MS = 200 };

/* With all requests under way: the milliseconds that the close took. */
static double fill_and_close(struct scene *scene)
{
	uint64_t before_ns;

	for (int i = 0; i < JOBS; i++)
		scene_send(scene, i, 'a');
	for (int i = 0; i < 100; i++)
		spdk_sock_group_poll(scene->group);
	before_ns = now_ns();
	scene_remove_and_close(scene);
	return (double)(now_ns() - before_ns) / 1e6;
}

/* The host does not read. All are called back when the close returns, and the memory is free:
 * what it is used for then, the host does not get. */
static void under_way(void)
{
	struct scene scene;
	int cancelled = 0, lost;
	uint64_t foreign;
	double ms;
	bool end;

	scene_open(&scene, "zcreq", true);
	ms = fill_and_close(&scene);
	lost = scene_await(&scene, JOBS, 0);
	check(lost == 0, "%d requests were not called back", lost);
	for (int i = 0; i < JOBS; i++)
		cancelled += scene.jobs[i].status == -ECANCELED;
	check(cancelled > 0, "nothing was under way");
	printf("close under_way=%d ms=%.2f lost=%d", cancelled, ms, lost);
	scene_recycle(&scene, 'f');
	scene_drink(&scene, 'f', &foreign, 300, &end);
	check(foreign == 0, "%llu foreign bytes", (unsigned long long)foreign);
	check(!end, "an abort looks like an end in order");
	printf(" foreign=%llu\n", (unsigned long long)foreign);
	net_close(&scene.net);
}

/* Nothing is lent: what was written comes, and then the end in order. */
static void in_order(void)
{
	struct scene scene;
	struct iovec iov = { "goodbye", 7 };
	uint64_t foreign, bytes;
	bool end;

	scene_open(&scene, "zcreq", true);
	check(spdk_sock_writev(scene.sock, &iov, 1) == 7, "not written");
	scene_remove_and_close(&scene);
	bytes = scene_drink(&scene, 'f', &foreign, 1000, &end);
	check(bytes == 7, "%llu bytes", (unsigned long long)bytes);
	check(end, "there is no end in order");
	printf("close in_order bytes=%llu\n", (unsigned long long)bytes);
	net_close(&scene.net);
}

/* A queue below TCP holds packets for longer than a close may wait: it returns all the same,
 * and says on the log that there was no proof. */
static void held(void)
{
	struct scene scene;
	double ms;
	int lost;

	if (net_missing_slow()) {
		printf("close held: skipped: %s\n", net_missing_slow());
		return;
	}
	scene_open(&scene, "zcreq", true);
	check(net_slow(&scene.net, 64 * 1024) == 0, "it is not slow");
	ms = fill_and_close(&scene);
	lost = scene_await(&scene, JOBS, 0);
	check(lost == 0, "%d requests were not called back", lost);
	check(ms >= CLOSE_MS && ms < CLOSE_MS + 50, "%.1f ms", ms);
	printf("close held ms=%.1f lost=%d\n", ms, lost);
	net_close(&scene.net);
}

int main(void)
{
	under_way();
	in_order();
	held();
	return failures();
}
