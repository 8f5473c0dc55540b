/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - what holds of the core's structs between any two public calls
 *
 * Each function claims it and stops the program where it does not hold. They cost as much
 * as there is to look at, so the library itself calls them only with --enable-debug, at
 * the end of turns (of the first thousand, then of one in 64); the simulator and the tests
 * call them far more often.
 */
#ifndef ZCREQ_LIB_CORE_CHECK_H
#define ZCREQ_LIB_CORE_CHECK_H

#include "core/core.h"

/* A table with entries of @size bytes; returns how many are in use. */
uint32_t zcreq_slots_check(const struct zcreq_slots *table, size_t size);

void zcreq_request_check(const struct zcreq_request *request);

/* The connection and its requests; not what it sends on. */
void zcreq_conn_check(const struct zcreq_conn *conn);

/* All of the above, and with --enable-debug what the connections send on. */
void zcreq_context_check(const struct zcreq_context *context);

#endif
