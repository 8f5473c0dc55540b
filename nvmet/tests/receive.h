/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * receive.h - between the two halves of a queue, initiator.c and receive.c
 */
#ifndef TESTS_NVME_RECEIVE_H
#define TESTS_NVME_RECEIVE_H

#include "initiator.h"

/** Queues the H2CData PDUs that @r2t asks for; it has been checked. */
void ini_answer_r2t(struct ini_queue *queue, const struct ini_command *command,
		    const struct wire_data *r2t);

#endif
