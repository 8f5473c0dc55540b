/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * vanish.c - a host vanishes in the middle of its reads, and every request comes back
 *
 * Nobody answers any more to sixteen requests of 128 KiB. All are to be called back within
 * stall_ms and 50 ms, once, as failed; the end is told to whoever reads; and when the host is
 * back it gets no byte of what the memory is used for since.
 *
 * Where the link is down on this side the packets do not even leave, so the watchdog looks
 * twice before it says that it is the peer: 100 ms later.
 */
#include <errno.h>
#include <stdio.h>

#include "peer.h"

struct way {
	const char *name;
	int (*vanish)(struct net *net, bool on);
	bool zerocopy;
	unsigned late_ms;
};

static const struct way ways[] = {
	{ "nobody_answers", net_misdirect, true, 50 },
	{ "nobody_answers", net_misdirect, false, 50 },
	{ "link_down", net_cut, true, 150 },
};

static void round_of(const struct way *way)
{
	const bool zerocopy = way->zerocopy;
	struct scene scene;
	uint64_t cut_ns, last_ns = 0, told_ns, foreign;
	char byte;
	bool end;
	int lost;

	scene_open(&scene, "zcreq", zerocopy);
	scene.told = 0;
	scene_send(&scene, 0, 'a'); /* a connection that works */
	while (scene_await(&scene, 1, 1))
		scene_drink(&scene, 'f', &foreign, 0, &end);
	scene_drink(&scene, 'f', &foreign, 50, &end); /* its window is open again */
	check(scene.jobs[0].status == 0, "%d", scene.jobs[0].status);

	scene_recycle(&scene, 'a');
	check(way->vanish(&scene.net, true) == 0, "it is there");
	cut_ns = now_ns();
	for (int i = 0; i < JOBS; i++)
		scene_resend(&scene, i, JOB_BYTES);
	lost = scene_await(&scene, JOBS, 10 * STALL_MS);
	check(lost == 0, "%d requests of %d were not called back", lost, JOBS);
	/* without zero-copy the kernel has a copy of them all; the end is told all the same */
	while (!scene.told && now_ns() - cut_ns < 10 * STALL_MS * (uint64_t)1000000)
		spdk_sock_group_poll(scene.group);
	told_ns = now_ns();
	for (int i = 0; i < JOBS; i++) {
		struct job *job = &scene.jobs[i];

		check(job->called <= 1, "called back %d times", job->called);
		last_ns = job->called_ns > last_ns ? job->called_ns : last_ns;
	}
	if (zerocopy)
		check(scene.jobs[JOBS - 1].status < 0, "%d", scene.jobs[JOBS - 1].status);
	check(told_ns - cut_ns <= (STALL_MS + way->late_ms) * (uint64_t)1000000, "%.1f ms",
	      (double)(told_ns - cut_ns) / 1e6);
	check(scene.told, "nobody is told of the end");
	check(spdk_sock_recv(scene.sock, &byte, 1) == -ETIMEDOUT, "the end has another reason");
	check(!spdk_sock_is_connected(scene.sock), "it says that it is connected");

	scene_recycle(&scene, 'f');
	scene_remove_and_close(&scene);
	check(way->vanish(&scene.net, false) == 0, "it is not back");
	scene_drink(&scene, 'f', &foreign, 500, &end);
	check(foreign == 0, "%llu foreign bytes", (unsigned long long)foreign);
	printf("vanish way=%s zerocopy=%d requests=%d stall_ms=%d back_ms=%.1f told_ms=%.1f lost=%d "
	       "foreign=%llu\n",
	       way->name, zerocopy, JOBS, STALL_MS, (double)(last_ns - cut_ns) / 1e6,
	       (double)(told_ns - cut_ns) / 1e6, lost,
	       (unsigned long long)foreign);
	net_close(&scene.net);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		round_of(&ways[i]);
	return failures();
}
