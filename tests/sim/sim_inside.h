/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_engine.h - how a connection is opened, and how the kernel is let speak
 *
 * The rest of the simulator knows connections, requests and bytes, and not which
 * engine moves them: begin, send, write, finish, abort, drain and free are the
 * same for all. What differs is here: opening, and one turn of an event loop.
 */
#ifndef ZCREQ_SIM_ENGINE_H
#define ZCREQ_SIM_ENGINE_H

#include "sim/sim_world.h"

/** Opens with an engine of its choice, also with none; as zcreq_stream_open(). */
int sim_engine_open(struct sim_conn *conn);

/** One turn of an event loop for this connection, freed or not; callbacks run. */
void sim_engine_turn(struct sim_conn *conn);

/** The same, when nothing came, or not this. */
void sim_engine_mistake(struct sim_conn *conn);

/** Hears of which connections there is something else to wait for. */
void sim_engine_listen(struct sim_world *world);

/** What the engine believes is outstanding is what the model and the kernel know. */
void sim_engine_check(const struct sim_conn *conn);

#endif
