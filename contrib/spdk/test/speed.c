/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * speed.c - what goes through a socket of this module, and through one of posix
 *
 * A thread reads at the other end of a veth pair. Rounds in turn; a line for each, and for each
 * size the ratio of the medians. No figure makes it fail. speed SECONDS ROUNDS
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "peer.h"

static void *drink(void *arg)
{
	static char data[1 << 20];
	const int *fd = arg;

	while (recv(*fd, data, sizeof(data), 0) > 0)
		;
	return NULL;
}

/* MiB a second. */
static double run(const char *module, bool zerocopy, size_t bytes, double seconds)
{
	struct scene scene;
	uint64_t start_ns, sent = 0;
	pthread_t thread;
	double took;

	scene_open(&scene, module, zerocopy);
	pthread_create(&thread, NULL, drink, &scene.peer);
	for (int i = 0; i < JOBS; i++)
		scene.jobs[i].called = 1;
	start_ns = now_ns();
	do {
		for (int i = 0; i < JOBS; i++) {
			struct job *job = &scene.jobs[i];

			if (!job->called)
				continue;
			sent += bytes;
			scene_resend(&scene, i, bytes);
		}
		spdk_sock_group_poll(scene.group);
		took = (double)(now_ns() - start_ns) / 1e9;
	} while (took < seconds);
	check(scene_await(&scene, JOBS, 5000) == 0, "requests were not called back");
	scene_remove_and_close(&scene);
	pthread_join(thread, NULL);
	net_close(&scene.net);
	return (double)sent / took / (1 << 20);
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	static const char *const modules[] = { "posix", "zcreq" };
	const double seconds = argc > 1 ? atof(argv[1]) : 0.5;
	const int rounds = argc > 2 ? atoi(argv[2]) : 3;
	static const size_t sizes[] = { 4096, JOB_BYTES };
	double results[2][64];

	for (int zerocopy = 1; zerocopy >= 0; zerocopy--) {
		for (int s = 0; s < 2; s++) {
			for (int i = 0; i < rounds && i < 64; i++)
				for (int m = 0; m < 2; m++)
					results[m][i] = run(modules[m], zerocopy, sizes[s], seconds);
			for (int m = 0; m < 2; m++)
				qsort(results[m], (size_t)rounds, sizeof(double), by_value);
			printf("speed zerocopy=%d bytes=%zu posix_mibs=%.0f zcreq_mibs=%.0f ratio=%.2f\n",
			       zerocopy, sizes[s], results[0][rounds / 2], results[1][rounds / 2],
			       results[1][rounds / 2] / results[0][rounds / 2]);
		}
	}
	return failures();
}
