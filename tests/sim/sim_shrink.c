/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_shrink.c - see sim_shrink.h
 *
 * Each try is a process, because a planted or real defect may as well crash or
 * never return. What the process really chose is heard, and is what goes on: it
 * ends with the line that failed, and has no number that nobody asked for.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim_shrink.h"

/* Processor time of a try, beside what the whole life took: usual lives take 2 ms. */
#define TRY_LEAST_MS 20

struct shared {
	struct sim_outcome outcome;
	struct sim_tape heard;
};

struct shrink {
	uint64_t seed;
	struct sim_end end;
	struct shared *shared;
	struct sim_tape *best;
	struct sim_tape *next;
	uint64_t stop_ms;
	unsigned try_ms;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void *sim_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

unsigned sim_life_ms(void)
{
	const char *ms = getenv("ZCREQ_SIM_LIFE_MS");

	return ms ? (unsigned)strtoul(ms, NULL, 10) : 1000;
}

void sim_limit_ms(unsigned ms)
{
	struct itimerval timer = {
		.it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 },
	};

	if (setitimer(ITIMER_VIRTUAL, &timer, NULL))
		abort();
}

static void be_quiet(void)
{
	int null = open("/dev/null", O_WRONLY);

	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		abort();
	close(null);
}

/* One life in a process of its own. */
static struct sim_end live(struct sim_life *life, struct shared *shared, unsigned ms)
{
	struct sim_end end = { 0 };
	pid_t pid;

	life->outcome = &shared->outcome;
	shared->outcome.format = NULL;
	sim_tape_clear(&shared->heard);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		if (!life->trace)
			be_quiet();
		sim_limit_ms(ms);
		sim_live(life);
		fflush(NULL);
		_exit(0);
	}
	if (waitpid(pid, &end.status, 0) != pid)
		abort();
	end.format = shared->outcome.format;
	if (end.format)
		memcpy(end.text, shared->outcome.text, sizeof(end.text));
	return end;
}

struct sim_end sim_record(uint64_t seed, struct sim_tape *tape)
{
	struct shared *shared = sim_share(sizeof(*shared));
	struct sim_life life = { .seed = seed, .heard = &shared->heard };
	struct sim_end end = live(&life, shared, sim_life_ms());

	sim_tape_clear(tape);
	sim_tape_append(tape, &shared->heard, 0, shared->heard.lines);
	munmap(shared, sizeof(*shared));
	return end;
}

struct sim_end sim_replay(uint64_t seed, const struct sim_tape *tape, bool tell)
{
	struct shared *shared = sim_share(sizeof(*shared));
	struct sim_life life = { .seed = seed, .play = tape, .trace = tell };
	struct sim_end end = live(&life, shared, sim_life_ms());

	munmap(shared, sizeof(*shared));
	return end;
}

/* Fewer lines, then fewer numbers, then smaller ones. */
static bool is_smaller(const struct sim_tape *a, const struct sim_tape *b)
{
	uint32_t at = 0;

	if (a->lines != b->lines || a->draws != b->draws)
		return a->lines != b->lines ? a->lines < b->lines : a->draws < b->draws;
	while (at < a->draws && a->draw[at] == b->draw[at])
		at++;
	return at < a->draws && a->draw[at] < b->draw[at];
}

/* Does @next end alike, and is what was heard of it smaller? Then that is the best. */
static bool attempt(struct shrink *shrink)
{
	struct sim_life life = {
		.seed = shrink->seed,
		.play = shrink->next,
		.heard = &shrink->shared->heard,
	};
	struct sim_end end;

	if (now_ms() > shrink->stop_ms)
		return false;
	end = live(&life, shrink->shared, shrink->try_ms);
	if (end.status != shrink->end.status || end.format != shrink->end.format)
		return false;
	sim_tape_clear(shrink->next);
	sim_tape_append(shrink->next, &shrink->shared->heard, 0, shrink->shared->heard.lines);
	if (!is_smaller(shrink->next, shrink->best))
		return false;
	sim_tape_clear(shrink->best);
	sim_tape_append(shrink->best, shrink->next, 0, shrink->next->lines);
	return true;
}

static bool leave_out_lines(struct shrink *shrink)
{
	const struct sim_tape *best = shrink->best;
	uint32_t chunk, at;
	bool better = false;

	for (chunk = best->lines / 2 + 1; chunk; chunk /= 2) {
		for (at = best->lines; at; at = at > chunk ? at - chunk : 0) {
			uint32_t from = at > chunk ? at - chunk : 0;

			if (at > best->lines)
				continue;
			sim_tape_clear(shrink->next);
			sim_tape_append(shrink->next, best, 0, from);
			sim_tape_append(shrink->next, best, at, best->lines);
			better |= attempt(shrink);
		}
	}
	return better;
}

/* The best so far, with only the first @keep numbers of a line. */
static bool cut_line(struct shrink *shrink, uint32_t line, uint32_t keep)
{
	const struct sim_tape *best = shrink->best;

	sim_tape_clear(shrink->next);
	sim_tape_append(shrink->next, best, 0, line + 1);
	if (shrink->next->draws > best->line[line].first + keep)
		shrink->next->draws = best->line[line].first + keep;
	sim_tape_append(shrink->next, best, line + 1, best->lines);
	return attempt(shrink);
}

static bool leave_out_numbers(struct shrink *shrink)
{
	const struct sim_tape *best = shrink->best;
	bool better = false;
	uint32_t line, keep, has;

	for (line = 0; line < best->lines; line++) {
		for (keep = 0; line < best->lines; keep = keep * 2 + 1) {
			has = sim_tape_end(best, line) - best->line[line].first;
			if (keep >= has)
				break;
			if (cut_line(shrink, line, keep)) {
				better = true;
				break;
			}
		}
	}
	return better;
}

static bool make_smaller(struct shrink *shrink, uint32_t at, uint64_t value)
{
	sim_tape_clear(shrink->next);
	sim_tape_append(shrink->next, shrink->best, 0, shrink->best->lines);
	shrink->next->draw[at] = value;
	return attempt(shrink);
}

static bool make_numbers_smaller(struct shrink *shrink)
{
	const struct sim_tape *best = shrink->best;
	bool better = false;
	uint32_t at;

	for (at = 0; at < best->draws; at++) {
		if (best->draw[at] && make_smaller(shrink, at, 0)) {
			better = true;
			continue;
		}
		while (at < best->draws && best->draw[at] > 1 &&
		       make_smaller(shrink, at, best->draw[at] / 2))
			better = true;
		if (at < best->draws && best->draw[at] > 1)
			better |= make_smaller(shrink, at, best->draw[at] - 1);
	}
	return better;
}

static bool hangs(const struct sim_end *end)
{
	return WIFSIGNALED(end->status) && WTERMSIG(end->status) == SIGVTALRM;
}

static void shrink_all(struct shrink *shrink)
{
	bool better;

	do {
		better = leave_out_lines(shrink);
		better |= leave_out_numbers(shrink);
		better |= make_numbers_smaller(shrink);
	} while (better);
}

/*
 * One that hangs would take all the time there is, so it is given up early: most of
 * what is tried ends at once. That it still hangs is made sure of in the end.
 */
static void shrink_hanging(struct shrink *shrink)
{
	struct sim_tape *whole = sim_share(sizeof(*whole));
	struct sim_end end;

	sim_tape_append(whole, shrink->best, 0, shrink->best->lines);
	for (; shrink->try_ms < sim_life_ms(); shrink->try_ms *= 4) {
		shrink_all(shrink);
		end = sim_replay(shrink->seed, shrink->best, false);
		if (end.status == shrink->end.status)
			break;
		sim_tape_clear(shrink->best);
		sim_tape_append(shrink->best, whole, 0, whole->lines);
	}
	munmap(whole, sizeof(*whole));
}

void sim_shrink(uint64_t seed, struct sim_tape *tape, const struct sim_end *end, unsigned ms)
{
	struct shrink shrink = {
		.seed = seed,
		.end = *end,
		.best = tape,
		.shared = sim_share(sizeof(*shrink.shared)),
		.next = sim_share(sizeof(*shrink.next)),
		.try_ms = TRY_LEAST_MS,
	};
	uint64_t start_ms = now_ms();

	shrink.stop_ms = start_ms + ms;
	if (hangs(end)) {
		shrink_hanging(&shrink);
	} else {
		sim_replay(seed, tape, false);
		shrink.try_ms += 4 * (unsigned)(now_ms() - start_ms);
		shrink_all(&shrink);
	}
	munmap(shrink.shared, sizeof(*shrink.shared));
	munmap(shrink.next, sizeof(*shrink.next));
}

void sim_end_print(const struct sim_end *end, FILE *to)
{
	if (WIFSIGNALED(end->status))
		fprintf(to, "%s", hangs(end) ? "it never ends" : strsignal(WTERMSIG(end->status)));
	else if (end->format)
		fprintf(to, "%s", end->text);
	else
		fprintf(to, "exit status %d", WEXITSTATUS(end->status));
}
