/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/witness.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS 2000000

static _Atomic uint64_t *worst_ns;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void watch(void)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };

	for (;;) {
		uint64_t start = clock_ns(), late;

		nanosleep(&nap, NULL);
		late = clock_ns() - start - NAP_NS;
		if (late > atomic_load(worst_ns))
			atomic_store(worst_ns, late);
	}
}

void witness_start(void)
{
	pid_t parent = getpid();

	worst_ns = mmap(NULL, sizeof(*worst_ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (worst_ns == MAP_FAILED)
		abort();
	if (fork())
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		watch();
	_exit(0);
}

int witness_lost_ms(void)
{
	return (int)(atomic_exchange(worst_ns, 0) / 1000000u);
}
