/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_inside.h - how a connection is opened, and how the kernel is let speak
 *
 * The rest of the simulator knows connections, requests and bytes, and not what
 * moves them: begin, send, write, finish, abort, drain and free are the
 * same for all. What differs is here: opening, and what an event loop sees.
 */
#ifndef ZCREQ_SIM_INSIDE_H
#define ZCREQ_SIM_INSIDE_H

#include "sim/sim_world.h"

/** Opens with a sender of its choice, or on sendmsg, or without a socket; as zcreq_stream_open(). */
int sim_inside_open(struct sim_conn *conn);

/** Before the first connection: the program's habit, for this life. */
void sim_inside_begin(struct sim_world *world);
void sim_inside_deinit(struct sim_world *world);

/** Something is about to be sent on it: the next turn does. */
void sim_inside_queued(struct sim_conn *conn);

/** What an event loop sees on its descriptor, freed or not, and what its sender says. */
void sim_inside_poll(struct sim_conn *conn);

/** The same, when nothing came, or not this. */
void sim_inside_mistake(struct sim_conn *conn);

/** All that was seen is handed to the library; a turn has to follow. */
void sim_inside_hand_in(struct sim_world *world);

/** It is over, and its sender takes part in no turn any more. */
void sim_inside_leave(struct sim_conn *conn);

/** A program that makes its own sends makes some, of what it has queued. */
void sim_own_pump(struct sim_conn *conn);

/** Has it bytes of this request that it did not send; or any that are nobody's? */
bool sim_own_pending(const struct sim_request *request);
bool sim_own_writes(const struct sim_conn *conn);

/** Bytes of its sends that a request in quarantine waits for. */
uint64_t sim_own_quarantined(const struct sim_request *request);

/** I10, of one connection: no turn is needed, as far as its socket knows. */
void sim_inside_quiet(const struct sim_conn *conn, uint64_t deadline_ns);

/**
 * Has the library claim all that holds of its own structs (core/check.h). Not with
 * ZCREQ_SIM_OUTSIDE in the environment: then the model alone has to find what is wrong.
 */
void sim_inside_claims(const struct sim_world *world);

/** What the library believes is outstanding is what the model and the kernel know. */
void sim_inside_check(const struct sim_conn *conn);

#endif
