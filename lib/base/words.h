/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.h - what the numbers of public enums are called, wherever people read them
 *
 * The explain room and the programs in tools/ have these words from here. Callers check a
 * number that somebody else has written down.
 */
#ifndef ZCREQ_LIB_WORDS_H
#define ZCREQ_LIB_WORDS_H

#include <zcreq/conn.h>

static inline const char *zcreq_conn_state_word(enum zcreq_conn_state state)
{
	static const char *const words[] = {
		[ZCREQ_CONN_OPEN] = "open",
		[ZCREQ_CONN_DRAINING] = "draining",
		[ZCREQ_CONN_ABORTING] = "aborting",
		[ZCREQ_CONN_QUARANTINED] = "quarantined",
		[ZCREQ_CONN_CLOSED] = "closed",
	};

	return words[state];
}

/* NULL: there is none. */
static inline const char *zcreq_cause_words(enum zcreq_cause cause)
{
	static const char *const words[] = {
		[ZCREQ_CAUSE_DRAINED] = "drained",
		[ZCREQ_CAUSE_ABORTED] = "aborted by the program",
		[ZCREQ_CAUSE_FREED] = "freed by the program",
		[ZCREQ_CAUSE_DRAIN_DEADLINE] = "the drain took too long",
		[ZCREQ_CAUSE_VANISHED] = "the peer has vanished",
		[ZCREQ_CAUSE_NOT_READING] = "the peer does not read",
		[ZCREQ_CAUSE_IDLE] = "the peer was quiet for too long",
		[ZCREQ_CAUSE_KERNEL_TIMEOUT] = "the kernel gave up",
		[ZCREQ_CAUSE_RESET] = "reset by the peer",
		[ZCREQ_CAUSE_SOCKET] = "an error of the socket",
		[ZCREQ_CAUSE_MEMORY] = "memory that cannot be read",
		[ZCREQ_CAUSE_DESCRIPTOR] = "somebody else has closed the descriptor",
		[ZCREQ_CAUSE_SENDER] = "the sender broke its contract",
	};

	return words[cause];
}

#endif
