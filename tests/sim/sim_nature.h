/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * sim_nature.h - what kernel, network and peer do by chance
 */
#ifndef ZCREQ_SIM_NATURE_H
#define ZCREQ_SIM_NATURE_H

#include "sim/sim_world.h"

/** Make a socket of some character for this connection, and the options for it. */
void sim_nature_socket(struct sim_conn *conn, struct zcreq_stream_options *options);

/** The library has taken it: from now on it may change inside calls. */
void sim_nature_opened(struct sim_conn *conn);

/** Something happens to some socket, or time passes. */
void sim_nature_act(struct sim_world *world);

#endif
