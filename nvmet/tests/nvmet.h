/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * nvmet.h - the zcreq-nvmet under test, as a process
 *
 * The program is named by the environment variable ZCREQ_NVMET. Its log goes to a
 * file that target_log_*() read: nobody has to empty a pipe. It dies with the
 * process that started it.
 */
#ifndef TESTS_NVME_NVMET_H
#define TESTS_NVME_NVMET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "controller.h"

#define TARGET_NQN "nqn.2014-08.org.example:zcreq-test"

struct target {
	pid_t pid;
	int log;
	struct sockaddr_storage address; /**< of the first --listen */
};

/** The program's totals. */
struct target_stats {
	long controllers, queues, connections, begun, released, inflight, quarantined, stale, blocks_used;
};

/** Says why and exits with 77 when there is no program to test. */
void target_need(void);

/**
 * target_start() - run it and wait until it says "ready"
 * @netns:      a descriptor of the network namespace to run it in, or -1
 * @arguments:  beside --nqn; ends with NULL
 */
bool target_start(struct target *target, int netns, const char *const *arguments);

/** SIGTERM, and SIGKILL if it does not end; its exit status, or -1 with a signal's end. */
int target_stop(struct target *target);

bool target_alive(const struct target *target);

/** Where the log ends now: what is searched later begins here. */
off_t target_log_end(const struct target *target);

/**
 * target_log_find() - wait for a line of the log that begins with @word
 * @from:       offset from target_log_end()
 * @key:        "key=value" that must be in the line too, or NULL
 * @line:       the line, with at most 511 characters; may be NULL
 *
 * Looks once when @timeout_ms is 0.
 */
bool target_log_find(const struct target *target, off_t from, const char *word, const char *key,
		     int timeout_ms, char line[512]);

/** How many such lines there are now. */
int target_log_count(const struct target *target, off_t from, const char *word, const char *key);

/** The number after "key=" in a line, or -1. */
long target_line_number(const char *line, const char *key);

/** Prints the end of the log to standard error, for a test that failed. */
void target_log_show(const struct target *target);

bool target_stats(const struct target *target, struct target_stats *stats);

/** Waits until @controllers are left and nothing is in flight, at most @timeout_ms. */
bool target_settles(const struct target *target, long controllers, int timeout_ms,
		    struct target_stats *stats);

/** Resident memory of the process in KiB. */
long target_resident_kb(const struct target *target);

/** Built with a sanitizer, whose own memory makes figures of memory meaningless. */
bool target_sanitized(const struct target *target);

/** Processor time of the process so far, in milliseconds. */
long target_cpu_ms(const struct target *target);

/** A host of this target, to be filled in further. */
struct ini_host target_host(const struct target *target, unsigned number, int io_queues,
			    uint16_t depth);

#endif
