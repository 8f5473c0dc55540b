/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * scenes.h - what the scenarios share: a connection, a loop that serves it, and a count
 *
 * A test is given a number. It says which loop it is about, and the rest is a variant of
 * the test's own: scene_pick(). With scene_open() the connection of load.h is in that loop.
 */
#ifndef ZCREQ_TESTS_SCENES_H
#define ZCREQ_TESTS_SCENES_H

#include "loops/loop.h"
#include "real/load.h"

#define SCENE_MS 1000000ull
#define SCENE_LATE_MS 15
#define SCENE_EXTRA (LOOP_CONNS - 1)

extern struct load load;
extern unsigned scene_closed;  /* of the connections beside the load's */

/* How many loops there are. */
int scene_loops(void);

/* Takes the loop of test number @i; what is left of it is the variant. */
int scene_pick(int i);
const char *scene_loop(void);

/* Wake-ups that were asked for come late from now on, and no other comes at all. */
void scene_be_late(bool late);

/* Connects, and puts the context into the loop. */
void scene_open(const struct net_pair *how, const struct zcreq_stream_options *options);

/* Connections beside that, of which only the end is heard. */
void scene_open_extra(unsigned count);
struct zcreq_conn *scene_extra(unsigned i);

/* Does the loop read what the peer has got? */
void scene_reading(bool on);

/* Runs until @done; it has to be within @ms. */
void scene_until(bool (*done)(void), int ms);

/* Runs for @ms in which nothing is to happen: how often was it awake? */
unsigned scene_rest(int ms);

/* Its wake-ups since scene_until() began, and those after which nothing had happened. */
void scene_expect(unsigned most, unsigned most_empty, const char *what);

/* Now, as the begin of a time that is limited. */
uint64_t scene_clock(void);

/*
 * The connection was closed within @limit_ms, and a margin, and what this machine has lost
 * by the word of the witness. Of a loop that never sleeps it is the longest round, since it
 * waits for a processor all the time where there are others. A look of the watchdog that
 * comes much too late is repeated (lib/stream/watchdog.c).
 */
void scene_expect_closed(uint64_t start_ns, int limit_ms, const char *what);

/* The peer resets the connection, and is gone. */
void scene_reset(void);

/* For scene_until(). */
bool scene_released(void);
bool scene_over(void);
bool scene_is_closed(void);

/* The tests of each file. */
void serve_add(TCase *group);
void quiet_add(TCase *group);
void vanish_add(TCase *group);

#endif
