/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * late.h - the scheduler under a loop: it counts wake-ups, and may give them late
 *
 * poll(2) and epoll_wait(2) are this program's own, so all that sleeps in one of them goes
 * through here, libraries too. A loop gets what it asked for, so much later as it is told
 * to, and nothing else: no event that is not in pollfd.events, no return before the
 * timeout. So a loop that lives on wake-ups that it did not ask for sleeps for ever.
 *
 * What is counted: how often the loop came to sleep, or to ask; and how often nothing at
 * all had happened since the time before. A loop that spins shows there, however slow the
 * machine is.
 */
#ifndef ZCREQ_TESTS_LATE_H
#define ZCREQ_TESTS_LATE_H

#include <stdbool.h>
#include <stdint.h>

struct late {
	int by_ms;                /* wake-ups come so much later; 0 when they come */
	int inner;                /* an epoll that is asked and not slept in: zcreq_context_fd() */
	bool asks_only;           /* a loop that never sleeps: it is awake when it is told of something */
	uint64_t (*progress)(void); /* another value when something has happened */
	void (*before)(void);     /* called as a loop comes to sleep; need not return */
	unsigned waits, empty;    /* wake-ups, and those after which nothing had happened */
	uint64_t seen;
	bool counts, told;        /* counting; the last answer was more than nothing */
};

extern struct late late;

/* Counts from 0, from now on. */
void late_count(void);

#endif
