/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * states.h - how a state is kept: one enum, one table, one function that writes it
 *
 * A table says what each event does in each state, one state a line: the next state, or a
 * negative errno that refuses the event and changes nothing. Enums of states and events
 * begin with 1, so that a cell that was forgotten is 0 and stops the program when it is
 * met; what cannot come is written out as ZCREQ_IMPOSSIBLE and stops it as well.
 * A check_states.c of each room holds that no cell is 0.
 */
#ifndef ZCREQ_LIB_STATES_H
#define ZCREQ_LIB_STATES_H

#include <stdint.h>

#include "base/bug.h"

/* The cell of an event that would be a defect; no errno that a call returns. */
#define ZCREQ_IMPOSSIBLE INT8_MIN

/* The state that a cell leads to, for events that nobody refuses. */
static inline uint8_t zcreq_state_after(int cell)
{
	zcreq_assert(cell > 0);
	return (uint8_t)cell;
}

#endif
