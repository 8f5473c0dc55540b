/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/witness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS 2000000
#define MOST_PIDS 4
#define MOST_THREADS 64

static _Atomic uint64_t *stopped_ns;

static pid_t pids[MOST_PIDS];
static unsigned pid_count;

/* Those that have ended are kept: what they waited was waited. */
static struct thread {
	pid_t tid;
	uint64_t waited_ns;
} threads[MOST_THREADS];
static unsigned thread_count;

static uint64_t waited_ns, told_ns;

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- who waits for a processor ---- */

/* The second number of a schedstat: nanoseconds in the queue of those that can run. */
static uint64_t read_waited(const char *path)
{
	unsigned long long ran, waited;
	char text[96];
	ssize_t len = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		len = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (len <= 0)
		return 0;
	text[len] = '\0';
	return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

static void look_at_thread(pid_t pid, pid_t tid)
{
	struct thread *thread = NULL;
	char path[64];
	uint64_t now_ns;

	for (unsigned i = 0; i < thread_count && !thread; i++)
		if (threads[i].tid == tid)
			thread = &threads[i];
	if (!thread && thread_count == MOST_THREADS)
		return;
	if (!thread) {
		thread = &threads[thread_count++];
		*thread = (struct thread){ .tid = tid };
	}
	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
	now_ns = read_waited(path);
	if (now_ns > thread->waited_ns) {
		waited_ns += now_ns - thread->waited_ns;
		thread->waited_ns = now_ns;
	}
}

static void look_at(pid_t pid)
{
	struct dirent *entry;
	char path[32];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			look_at_thread(pid, (pid_t)atol(entry->d_name));
	if (tasks)
		closedir(tasks);
}

uint64_t witness_waited_ns(void)
{
	for (unsigned i = 0; i < pid_count; i++)
		look_at(pids[i]);
	return waited_ns;
}

void witness_watch(pid_t pid)
{
	for (unsigned i = 0; i < pid_count; i++)
		if (pids[i] == pid)
			return;
	if (pid_count == MOST_PIDS)
		abort();
	pids[pid_count++] = pid;
	told_ns = witness_waited_ns();
}

/* ---- who sleeps ---- */

static void sleep_for_ever(void)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };

	for (;;) {
		uint64_t waited = read_waited("/proc/self/schedstat");
		uint64_t start = clock_ns(), late;

		nanosleep(&nap, NULL);
		late = clock_ns() - start - NAP_NS;
		waited = read_waited("/proc/self/schedstat") - waited;
		late -= waited < late ? waited : late;
		if (late > atomic_load(stopped_ns))
			atomic_store(stopped_ns, late);
	}
}

void witness_start(void)
{
	pid_t parent = getpid();

	stopped_ns = mmap(NULL, sizeof(*stopped_ns), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stopped_ns == MAP_FAILED)
		abort();
	if (fork()) {
		witness_watch(parent);
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		sleep_for_ever();
	_exit(0);
}

uint64_t witness_stopped_ns(void)
{
	return atomic_exchange(stopped_ns, 0);
}

int witness_lost_ms(void)
{
	uint64_t before_ns = told_ns;

	told_ns = witness_waited_ns();
	return (int)((told_ns - before_ns + witness_stopped_ns()) / 1000000u);
}
