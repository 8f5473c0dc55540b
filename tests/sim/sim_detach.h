/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_detach.h - the kernel keeps pages, the program has its addresses back
 */
#ifndef ZCREQ_SIM_DETACH_H
#define ZCREQ_SIM_DETACH_H

#include "sim/sim_world.h"

/** Before the first connection: how much the kernel may keep in this life. */
void sim_detach_begin(struct sim_world *world);
void sim_detach_deinit(struct sim_world *world);

/** One in two streams can be detached. */
void sim_detach_options(struct sim_conn *conn, struct zcreq_stream_options *options);

/** It is open. */
void sim_detach_opened(struct sim_conn *conn);

/** Memory for a send of it. */
uint8_t *sim_detach_memory(struct sim_conn *conn, size_t len);

/** The verb: requests of one connection are detached, or all of it, or it is refused. */
void sim_detach_act(struct sim_world *world);

/** What the library has detached by itself, without anything to exchange. */
void sim_detach_notice(struct sim_conn *conn);

/** What the kernel has of sends that were detached is what the library counts. */
void sim_detach_check(struct sim_world *world);

/** Could nothing have been in the way of its being detached, and yet it is in quarantine? */
bool sim_detach_missed(const struct sim_conn *conn);

#endif
