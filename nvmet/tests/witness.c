/* SPDX-License-Identifier: BSD-2-Clause */
#include "witness.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "initiator.h"

#define NAP_NS 2000000

static _Atomic uint64_t *worst_ns;

static void watch(void)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };

	for (;;) {
		uint64_t start = ini_now_ns(), late;

		nanosleep(&nap, NULL);
		late = ini_now_ns() - start - NAP_NS;
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
