/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * states.h - what must hold of every state table, whichever it is
 */
#ifndef ZCREQ_TESTS_STATES_H
#define ZCREQ_TESTS_STATES_H

#include <stdbool.h>

#include "support/suite.h"

/*
 * No cell is 0 (it was forgotten), none names a state that does not exist, and each state
 * but the first is reached from somewhere. Row and column 0 are nobody's.
 */
#define table_is_whole(table) \
	do { \
		const int states = (int)COUNT(table), events = (int)COUNT((table)[0]); \
		\
		for (int state = 1; state < states; state++) { \
			bool reached = state == 1; \
			\
			for (int event = 1; event < events; event++) \
				ck_assert_msg((table)[state][event] && \
						      (table)[state][event] < states, \
					      #table "[%d][%d] is %d", state, event, \
					      (table)[state][event]); \
			for (int from = 1; from < states; from++) { \
				for (int event = 1; event < events; event++) \
					reached |= (table)[from][event] == state; \
			} \
			ck_assert_msg(reached, #table ": nothing leads to %d", state); \
		} \
	} while (0)

#endif
