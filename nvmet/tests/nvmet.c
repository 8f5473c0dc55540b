/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * nvmet.c - starts, watches and stops zcreq-nvmet
 *
 * Owns the process and its log file, which has no name unless ZCREQ_TEST_LOGS is a
 * directory to keep it in. All that is known of the inside of the target comes
 * from there: the tests link nothing of it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nvmet.h"

#define MAX_ARGUMENTS 40
#define READY_MS INI_WAIT_MS
#define STOP_MS INI_WAIT_MS

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

void target_need(void)
{
	const char *program = getenv("ZCREQ_NVMET");

	if (program && access(program, X_OK) == 0)
		return;
	printf("skip: ZCREQ_NVMET does not name the target's program\n");
	exit(77);
}

/* A file without a name, or a new one in the directory that somebody looks into. */
static int open_log(void)
{
	const char *kept = getenv("ZCREQ_TEST_LOGS"), *temporary = getenv("TMPDIR");
	char path[512];
	int fd;

	if (kept) {
		snprintf(path, sizeof(path), "%s/target-%d.log", kept, (int)getpid());
		fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	} else {
		fd = open(temporary ? temporary : "/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	}
	if (fd < 0) {
		perror("log file");
		exit(99);
	}
	return fd;
}

static void run_child(const struct target *target, int netns, pid_t parent,
		      const char *const *arguments)
{
	const char *argv[MAX_ARGUMENTS + 10] = { getenv("ZCREQ_NVMET"), "--nqn", TARGET_NQN };
	const char *sender = getenv("ZCREQ_TEST_SENDER"), *threads = getenv("ZCREQ_TEST_THREADS");
	const char *block = getenv("ZCREQ_TEST_BLOCK");
	int count = 3;

	if (sender) {
		argv[count++] = "--sender";
		argv[count++] = sender;
	}
	if (threads) {
		argv[count++] = "--threads";
		argv[count++] = threads;
	}
	if (block) {
		argv[count++] = "--block";
		argv[count++] = block;
	}
	for (int i = 0; arguments[i] && i < MAX_ARGUMENTS; i++)
		argv[count++] = arguments[i];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(99);
	if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
		_exit(98);
	dup2(target->log, STDOUT_FILENO);
	dup2(target->log, STDERR_FILENO);
	execv(argv[0], (char **)argv);
	_exit(97);
}

bool target_start(struct target *target, int netns, const char *const *arguments)
{
	pid_t parent = getpid();
	char line[512], address[80];
	const char *listen;

	target->log = open_log();
	target->pid = fork();
	if (target->pid == 0)
		run_child(target, netns, parent, arguments);
	if (target->pid < 0 || !target_log_find(target, 0, "ready", NULL, READY_MS, line)) {
		fprintf(stderr, "the target does not become ready\n");
		return false;
	}
	listen = strstr(line, " listen=");
	if (!listen || sscanf(listen, " listen=%79[^, ]", address) != 1 ||
	    !ini_parse_address(address, &target->address)) {
		fprintf(stderr, "no address in: %s\n", line);
		return false;
	}
	return true;
}

bool target_alive(const struct target *target)
{
	return target->pid > 0 && waitpid(target->pid, NULL, WNOHANG) == 0;
}

int target_stop(struct target *target)
{
	int status = 0;

	kill(target->pid, SIGTERM);
	for (int waited = 0; waitpid(target->pid, &status, WNOHANG) == 0; waited += 5) {
		if (waited >= STOP_MS) {
			fprintf(stderr, "the target does not stop\n");
			target_log_show(target);
			kill(target->pid, SIGKILL);
		}
		sleep_ms(5);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		target_log_show(target);
	close(target->log);
	target->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

off_t target_log_end(const struct target *target)
{
	return lseek(target->log, 0, SEEK_END);
}

/* The log from @from on, as a string; freed by the caller. */
static char *read_log(const struct target *target, off_t from)
{
	off_t end = target_log_end(target);
	size_t len = end > from ? (size_t)(end - from) : 0;
	char *text = calloc(1, len + 1);

	if (!text || pread(target->log, text, len, from) != (ssize_t)len)
		abort();
	return text;
}

static bool matches(const char *line, const char *word, const char *key)
{
	size_t len = strlen(word);
	const char *at = line;

	if (strncmp(line, word, len) || (line[len] && line[len] != ' '))
		return false;
	if (!key)
		return true;
	len = strlen(key);
	while ((at = strstr(at, key))) {
		if (at[-1] == ' ' && (!at[len] || at[len] == ' '))
			return true;
		at += len;
	}
	return false;
}

/* Counts the lines that match, and copies the first of them. */
static int search(const struct target *target, off_t from, const char *word, const char *key,
		  char *line)
{
	char *text = read_log(target, from), *rest = text, *end;
	int found = 0;

	while ((end = strchr(rest, '\n'))) {
		*end = '\0';
		if (matches(rest, word, key) && found++ == 0 && line)
			snprintf(line, 512, "%s", rest);
		rest = end + 1;
	}
	free(text);
	return found;
}

bool target_log_find(const struct target *target, off_t from, const char *word, const char *key,
		     int timeout_ms, char line[512])
{
	uint64_t deadline = ini_now_ns() + (uint64_t)timeout_ms * 1000000u;

	while (!search(target, from, word, key, line)) {
		if (ini_now_ns() >= deadline || !target_alive(target))
			return search(target, from, word, key, line);
		sleep_ms(1);
	}
	return true;
}

int target_log_count(const struct target *target, off_t from, const char *word, const char *key)
{
	return search(target, from, word, key, NULL);
}

long target_line_number(const char *line, const char *key)
{
	size_t len = strlen(key);
	const char *at = line;

	while ((at = strstr(at, key))) {
		if (at > line && at[-1] == ' ' && at[len] == '=')
			return strtol(at + len + 1, NULL, 0);
		at += len;
	}
	return -1;
}

void target_log_show(const struct target *target)
{
	off_t end = target_log_end(target);
	char *text = read_log(target, end > 6000 ? end - 6000 : 0);

	fprintf(stderr, "--- the end of the target's log\n%s---\n", text);
	free(text);
}

bool target_stats(const struct target *target, struct target_stats *stats)
{
	off_t from = target_log_end(target);
	char line[512];

	*stats = (struct target_stats){ .controllers = -1 };
	kill(target->pid, SIGUSR1);
	if (!target_log_find(target, from, "stats", NULL, INI_WAIT_MS, line))
		return false;
	*stats = (struct target_stats){
		.controllers = target_line_number(line, "controllers"),
		.queues = target_line_number(line, "queues"),
		.connections = target_line_number(line, "connections"),
		.begun = target_line_number(line, "begun"),
		.released = target_line_number(line, "released"),
		.inflight = target_line_number(line, "inflight"),
		.quarantined = target_line_number(line, "quarantined"),
		.stale = target_line_number(line, "stale"),
		.blocks_used = target_line_number(line, "blocks_used"),
	};
	return true;
}

bool target_settles(const struct target *target, long controllers, int timeout_ms,
		    struct target_stats *stats)
{
	uint64_t deadline = ini_now_ns() + (uint64_t)timeout_ms * 1000000u;

	while (target_stats(target, stats)) {
		if (stats->controllers == controllers && stats->inflight == 0)
			return true;
		if (ini_now_ns() >= deadline)
			break;
		sleep_ms(2);
	}
	return false;
}

/* A file of /proc/PID, its first bytes. */
static bool read_proc(const struct target *target, const char *name, char *text, size_t size)
{
	char path[64];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)target->pid, name);
	file = fopen(path, "r");
	if (!file)
		return false;
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
	return true;
}

long target_resident_kb(const struct target *target)
{
	char text[4096];
	const char *at;

	if (!read_proc(target, "status", text, sizeof(text)))
		return -1;
	at = strstr(text, "VmRSS:");
	return at ? strtol(at + 6, NULL, 10) : -1;
}

bool target_sanitized(const struct target *target)
{
	static char text[1 << 18];

	return read_proc(target, "maps", text, sizeof(text)) &&
	       (strstr(text, "libasan") || strstr(text, "libclang_rt"));
}

long target_cpu_ms(const struct target *target)
{
	char text[1024];
	const char *at;
	long user = 0, system = 0;

	if (!read_proc(target, "stat", text, sizeof(text)))
		return -1;
	at = strrchr(text, ')'); /* then state and ten numbers, then the two times */
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
			  &system) != 2)
		return -1;
	return (user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

struct ini_host target_host(const struct target *target, unsigned number, int io_queues,
			    uint16_t depth)
{
	return (struct ini_host){ .options = { .address = target->address },
				  .nqn = TARGET_NQN,
				  .host = number,
				  .io_queues = io_queues,
				  .depth = depth };
}
