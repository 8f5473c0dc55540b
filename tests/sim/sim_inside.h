/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_inside.h - how a connection is opened, and how the kernel is let speak
 *
 * The rest of the simulator knows connections, requests and bytes, and not what
 * moves them: begin, send, write, finish, abort, drain and free are the
 * same for all. What differs is here: opening, and one turn of an event loop.
 */
#ifndef ZCREQ_SIM_INSIDE_H
#define ZCREQ_SIM_INSIDE_H

#include "sim/sim_world.h"

/** Opens with a sender of its choice, or on sendmsg, or without a socket; as zcreq_stream_open(). */
int sim_inside_open(struct sim_conn *conn);

/** One turn of an event loop for this connection, freed or not; callbacks run. */
void sim_inside_turn(struct sim_conn *conn);

/** The same, when nothing came, or not this. */
void sim_inside_mistake(struct sim_conn *conn);

/** Hears of which connections there is something else to wait for. */
void sim_inside_listen(struct sim_world *world);

/**
 * Has the library claim all that holds of its own structs (core/check.h). Not with
 * ZCREQ_SIM_OUTSIDE in the environment: then the model alone has to find what is wrong.
 */
void sim_inside_claims(const struct sim_world *world);

/** What the library believes is outstanding is what the model and the kernel know. */
void sim_inside_check(const struct sim_conn *conn);

#endif
