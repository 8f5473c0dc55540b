/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vanish - a host vanishes in the middle of a zero-copy transfer: eight ways to end
 *
 * The demo of this library. Run it, as root or not; it needs nothing but Linux,
 * changes nothing outside its own namespaces, and leaves nothing behind. It
 * prints one table and draws the same as a picture.
 *
 * This file owns the options, the processes and the verdict. What they do is
 * in vanish-parts/, best read from rows.c on.
 *
 * Each way runs in a process of its own, so that none can disturb the books, the
 * memory or the network of another. Where there is locked memory for all of
 * them, they run at the same time, each started a little after the one before.
 *
 * Exit status: 0, or 1 if a zcreq row is not perfect or something failed, or 77
 * if this machine does not let us make network namespaces.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vanish-parts/vanish.h"

enum {
	EXIT_USAGE = 2,
	EXIT_CANNOT = 77,
	STAGGER_MS = 350,
	MAX_REQUESTS = 1024,
	MAX_SIZE = 4 << 20,
	MAX_TOTAL = 64 << 20, /* more takes more than the time limits to overwrite */
	PAGE = 4096,
};

/* ---- what this machine lets us do ---- */

/* Does capability @bit count where it matters: outside of any user namespace? */
static bool capable(unsigned bit)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	FILE *status = fopen("/proc/self/status", "re");
	unsigned first = 1, outside = 1, count = 0;
	uint64_t effective = 0;
	char line[128];

	if (map && fscanf(map, "%u %u %u", &first, &outside, &count) != 3)
		count = 0;
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "CapEff: %" SCNx64, &effective) == 1)
			break;
	if (map)
		fclose(map);
	if (status)
		fclose(status);
	return first == 0 && outside == 0 && count == UINT32_MAX && effective >> bit & 1;
}

/*
 * MSG_ZEROCOPY charges the pages to the user's locked-memory limit, and two more
 * for each call, except to those who have CAP_IPC_LOCK. An eighth of the limit is
 * left for these two and for the user's other programs.
 */
static size_t lockable_bytes(void)
{
	struct rlimit limit;

	if (capable(CAP_IPC_LOCK) || getrlimit(RLIMIT_MEMLOCK, &limit))
		return SIZE_MAX;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur / 8 > SIZE_MAX / 8)
		return SIZE_MAX;
	return (size_t)(limit.rlim_cur / 8 * 7);
}

/*
 * And each call takes a little option memory while it is in flight, measured: 832
 * bytes. A namespace has a limit of its own since Linux 6.8, which netns.c raises;
 * before, there was one for the machine, by default good for 24 calls, and it is
 * not for a demo to change. The library hands over up to 512 KiB in one call.
 */
static size_t optional_bytes(void)
{
	FILE *file = fopen("/proc/sys/net/core/optmem_max", "re");
	size_t limit = 0;

	if (!file || fscanf(file, "%zu", &limit) != 1)
		limit = 20480;
	if (file)
		fclose(file);
	return limit / 1280 * (512 << 10);
}

/*
 * What has to be in the kernel's send queue at the cut. The oldest requests share a
 * notification with those that came after them, up to a batch, and parts of them had arrived.
 */
static size_t staged_bytes(const struct setup *setup)
{
	size_t batch_bytes = setup->batch * setup->size_bytes;
	size_t arrived_bytes = (batch_bytes < 512 << 10 ? 512 << 10 : batch_bytes) + setup->size_bytes;

	return setup->total_bytes > arrived_bytes ? setup->total_bytes - arrived_bytes : 0;
}

/* Make the requests fit into what may be in flight: 0, or -1 with the reason printed. */
static int fit(struct setup *setup, bool size_given, size_t lockable, size_t optional)
{
	size_t limit = lockable < optional ? lockable : optional;
	size_t most = limit / setup->requests / PAGE * PAGE;
	const char *what = lockable < optional ? "locked memory (ulimit -l)"
					       : "option memory (net.core.optmem_max)";

	if (setup->size_bytes > most && (size_given || !most)) {
		fprintf(stderr,
			"vanish: cannot run: %u requests of %zu bytes: the limit on %s\n"
			"allows %zu bytes in flight\n",
			setup->requests, setup->size_bytes, what, limit);
		return -1;
	}
	if (setup->size_bytes > most) {
		printf("\nNote: the limit on %s allows %zu KiB\n"
		       "in flight, so requests have %zu KiB instead of 128.\n",
		       what, limit >> 10, most >> 10);
		setup->size_bytes = most;
		setup->total_bytes = most * setup->requests;
	}
	setup->together = setup->total_bytes <= lockable / WAYS;
	setup->staged_bytes = staged_bytes(setup);
	return 0;
}

/* ---- a process for each way ---- */

static struct result *share_results(unsigned requests)
{
	size_t lives_bytes = 2 * WAYS * requests * sizeof(struct life);
	struct result *results;
	struct life *lives;
	unsigned i;

	results = mmap(NULL, WAYS * sizeof(*results) + lives_bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (results == MAP_FAILED)
		return NULL;
	lives = (struct life *)(results + WAYS);
	for (i = 0; i < WAYS; i++) {
		results[i].lives = lives + 2 * i * requests;
		results[i].earlier = lives + (2 * i + 1) * requests;
	}
	return results;
}

/* A row in a process of its own, which ends when we do. Without a way: a rehearsal. */
static pid_t start(const struct way *way, const struct setup *setup, struct result *result)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	if (way)
		row_play(way, setup, result);
	else
		row_rehearse(setup, result);
	_exit(EXIT_SUCCESS);
}

static void await(pid_t pid)
{
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- the table ---- */

struct palette {
	const char *good, *bad, *dim, *bold, *off;
};

static struct palette palette(void)
{
	if (isatty(STDOUT_FILENO) && !getenv("NO_COLOR"))
		return (struct palette){"\033[32m", "\033[31m", "\033[2m", "\033[1m", "\033[0m"};
	return (struct palette){"", "", "", "", ""};
}

static const char *commas(uint64_t number, char *text, size_t size)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, number), i;
	size_t at = 0;

	for (i = 0; i < len && at + 2 < size; i++) {
		if (i && (len - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = '\0';
	return text;
}

static const char *size_text(uint64_t bytes, char *text, size_t size)
{
	if (bytes >= 1 << 20 && bytes % (1 << 20) == 0)
		snprintf(text, size, "%" PRIu64 " MiB", bytes >> 20);
	else
		snprintf(text, size, "%" PRIu64 " KiB", bytes >> 10);
	return text;
}

static void print_opening(const struct setup *setup)
{
	struct palette c = palette();
	char each[32], all[32];

	size_text(setup->size_bytes, each, sizeof(each));
	size_text(setup->total_bytes, all, sizeof(all));
	printf("\n%sA host vanishes in the middle of a zero-copy transfer.%s\n\n"
	       "%u requests of %s, %s in all, are in flight when the link is cut.\n"
	       "The kernel reads their buffers until the peer has acknowledged them, and the\n"
	       "peer is gone. The sender takes back its buffers, each time in another way, and\n"
	       "gives those it got to the next tenant. After %d seconds the link comes back.\n\n",
	       c.bold, c.off, setup->requests, each, all, OUTAGE_MS / 1000);
	printf("%sEight ways, each with processes, network and memory of its own: about %d s.%s\n\n",
	       c.dim, setup->together ? 6 : 25, c.off);
	printf("%s%-29s %12s %14s %15s %6s%s\n", c.bold, "", "buffers", "last one", "next tenant's",
	       "freed", c.off);
	printf("%s%-29s %12s %14s %15s %6s%s\n", c.bold, "way of ending", "released",
	       "after the cut", "bytes received", "twice", c.off);
	printf("--------------------------------------------------------------------------------\n");
	fflush(stdout);
}

/* From the cut to the last release. */
static uint64_t taken_ns(const struct result *result)
{
	return result->last_ns - result->cut_ns;
}

static void print_row(const struct way *way, const struct setup *setup,
		      const struct result *result)
{
	struct palette c = palette();
	bool all = result->released == setup->requests;
	char released[32], last[32] = "never", foreign[32];

	if (result->state != RESULT_MEASURED) {
		printf("%-30s %s%s%s\n", way->title, c.bad,
		       result->state == RESULT_MISSING ? "its process died" : result->reason,
		       c.off);
		return;
	}
	snprintf(released, sizeof(released), "%u of %u", result->released, setup->requests);
	if (all)
		snprintf(last, sizeof(last), "%.1f ms",
			 (double)taken_ns(result) / 1e6);
	commas(result->foreign_bytes, foreign, sizeof(foreign));
	printf("%-29s %s%12s %14s%s %s%15s%s %s%6u%s\n", way->title, all ? c.good : c.bad,
	       released, last, c.off, result->foreign_bytes ? c.bad : c.good, foreign, c.off,
	       result->doubles ? c.bad : c.good, result->doubles, c.off);
	fflush(stdout);
}

/* ---- the verdict ---- */

/*
 * What a zcreq row did wrong, or NULL. While others have the processors, nothing is done: that
 * is not counted against the limit.
 */
static const char *flaw(const struct way *way, const struct setup *setup,
			const struct result *result)
{
	if (result->released != setup->requests)
		return "did not release every buffer";
	if (result->foreign_bytes)
		return "let go of buffers that the kernel was still reading";
	if (result->doubles)
		return "completed something twice";
	if (taken_ns(result) > way->limit_ms * 1000000ull + result->waited_ns)
		return "was too late";
	return NULL;
}

/* Was it the accident that we say it was? */
static bool staged(const struct setup *setup, const struct result *result)
{
	return result->in_flight == setup->requests && result->completed > 0 &&
	       result->queued_bytes >= setup->staged_bytes;
}

static int verdict(const struct setup *setup, const struct result *results)
{
	uint64_t queued_bytes = UINT64_MAX;
	struct palette c = palette();
	int failures = 0;
	char text[32];
	unsigned i;

	for (i = 0; i < WAYS; i++) {
		const struct result *result = &results[i];
		const char *what = NULL;

		if (result->state == RESULT_MEASURED && result->queued_bytes < queued_bytes)
			queued_bytes = result->queued_bytes;
		if (result->state == RESULT_CANNOT)
			continue; /* said in its row */
		if (result->state != RESULT_MEASURED)
			what = "was not measured";
		else if (!staged(setup, result))
			what = "did not have everything in flight at the cut";
		else if (ways[i].limit_ms)
			what = flaw(&ways[i], setup, result);
		if (!what)
			continue;
		printf("%sFAILED: way %u %s.%s\n", c.bad, i + 1, what, c.off);
		failures++;
	}
	for (i = 0; i < WAYS; i++)
		if (ways[i].limit_ms && results[i].released == setup->requests &&
		    taken_ns(&results[i]) > ways[i].limit_ms * 1000000ull)
			printf("%sOf the time of way %u, %.1f ms went by waiting for a processor.%s\n",
			       c.dim, i + 1, (double)results[i].waited_ns / 1e6, c.off);
	if (failures)
		return EXIT_FAILURE;
	printf("%sIn flight at the cut, by the kernel's own count (SIOCOUTQ): at least %s\n"
	       "bytes in each row. Limits: ways 5, 7 and 8 within %d ms, way 6 within %d ms.%s\n",
	       c.dim, commas(queued_bytes, text, sizeof(text)), ABORT_LIMIT_MS,
	       WATCHDOG_LIMIT_MS, c.off);
	return EXIT_SUCCESS;
}

/* ---- the program ---- */

static void play_all(const struct setup *setup, struct result *results)
{
	pid_t pids[WAYS];
	unsigned i;

	for (i = 0; i < WAYS; i++) {
		pids[i] = start(&ways[i], setup, &results[i]);
		if (setup->together) {
			poll(NULL, 0, STAGGER_MS);
			continue;
		}
		await(pids[i]);
		print_row(&ways[i], setup, &results[i]);
	}
	for (i = 0; i < WAYS && setup->together; i++) {
		await(pids[i]);
		print_row(&ways[i], setup, &results[i]);
	}
	printf("--------------------------------------------------------------------------------\n");
}

static int draw_to(const char *path, const struct setup *setup, const struct result *results)
{
	FILE *file = fopen(path, "we");
	int r;

	if (!file) {
		fprintf(stderr, "vanish: %s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	r = draw(file, setup, results);
	if (fclose(file) || r) {
		fprintf(stderr, "vanish: %s: could not be written\n", path);
		return EXIT_FAILURE;
	}
	printf("\nThe same as a picture: %s\n\n", path);
	return EXIT_SUCCESS;
}

static void usage(FILE *file)
{
	fprintf(file,
		"usage: vanish [--svg PATH] [--trace PATH] [--requests N] [--size BYTES]\n\n"
		"Cuts the link under a zero-copy transfer and takes the buffers back in eight ways.\n\n"
		"  --svg PATH      where the picture goes (vanish.svg)\n"
		"  --trace PATH    the zcreq rows leave traces in PATH.5 to PATH.8\n"
		"  --requests N    in flight at the cut, 16 to %d (256)\n"
		"  --size BYTES    of each request, whole pages, 64 MiB in all (131072)\n"
		"  --help          this text\n\n"
		"Exit status: 0; 1 if a zcreq row is not perfect; 2 for a wrong command line;\n"
		"77 if network namespaces cannot be made here.\n",
		MAX_REQUESTS);
}

/* A number between @low and @high, or -1. */
static long number(const char *text, long low, long high)
{
	char *end;
	long value = strtol(text, &end, 10);

	return *text && !*end && value >= low && value <= high ? value : -1;
}

static bool parse(int argc, char **argv, struct setup *setup, bool *size_given, bool *help)
{
	static const struct option options[] = {
		{"svg", required_argument, NULL, 's'},	{"requests", required_argument, NULL, 'r'},
		{"size", required_argument, NULL, 'b'}, {"help", no_argument, NULL, 'h'},
		{"trace", required_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	long requests = 256, size_bytes = 128 << 10;
	int option;

	*setup = (struct setup){.svg_path = "vanish.svg"};
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 's')
			setup->svg_path = optarg;
		else if (option == 't')
			setup->trace_path = optarg;
		else if (option == 'r')
			requests = number(optarg, 16, MAX_REQUESTS);
		else if (option == 'b')
			size_bytes = number(optarg, PAGE, MAX_SIZE);
		else if (option != 'h')
			return false;
		*size_given |= option == 'b';
		*help |= option == 'h';
	}
	if (optind < argc || requests < 0 || size_bytes < 0 || size_bytes % PAGE ||
	    requests * size_bytes > MAX_TOTAL)
		return false;
	setup->requests = (unsigned)requests;
	setup->size_bytes = (size_t)size_bytes;
	setup->total_bytes = (size_t)(requests * size_bytes);
	setup->batch = setup->requests / 16;
	return true;
}

int main(int argc, char **argv)
{
	bool size_given = false, help = false;
	size_t lockable, optional;
	struct result *results;
	struct setup setup;
	int r, status;

	if (!parse(argc, argv, &setup, &size_given, &help)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (help) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	lockable = lockable_bytes();
	optional = optional_bytes();
	r = capable(CAP_SYS_ADMIN) ? 0 : netns_enter_user();
	if (r) {
		fprintf(stderr, "vanish: cannot run: no user namespace: %s\n", strerror(-r));
		return EXIT_CANNOT;
	}
	results = share_results(setup.requests);
	if (!results) {
		fprintf(stderr, "vanish: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	await(start(NULL, &setup, &results[0]));
	if (results[0].state != RESULT_MEASURED) {
		fprintf(stderr, "vanish: cannot run: %s\n", results[0].reason);
		return EXIT_CANNOT;
	}
	if (fit(&setup, size_given, lockable, results[0].own_options ? SIZE_MAX : optional))
		return EXIT_CANNOT;
	print_opening(&setup);
	play_all(&setup, results);
	status = verdict(&setup, results);
	r = draw_to(setup.svg_path, &setup, results);
	return status ? status : r;
}
