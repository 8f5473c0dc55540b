/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tables.c - writes the state tables of lib/ in Promela, for zcreq.pml
 *
 * The model has no table of its own: it runs on what this prints, so that a change
 * of a cell in lib/ is a change of the model.
 */
#include <stdio.h>

#include "core/core.h"

/* Errors are numbers that no state has, since an initialiser cannot be negative. */
#define REFUSED 1000

static void write_table(const char *name, const int16_t *cells, int states, int events)
{
	printf("hidden short %s[%d] = {", name, states * events);
	for (int i = 0; i < states * events; i++) {
		printf("%s%d", i % events ? ", " : "\n\t",
		       cells[i] < 0 ? REFUSED - cells[i] : cells[i]);
		if (i + 1 < states * events && i % events == events - 1)
			printf(",");
	}
	printf("\n};\n");
}

#define NUMBER(name, value) printf("#define %s %d\n", name, (int)(value))

static void write_names(void)
{
	NUMBER("REFUSED", REFUSED);
	NUMBER("STALE", REFUSED + ESTALE);
	NUMBER("FREE", ZCREQ_STATE_FREE);
	NUMBER("OPEN", ZCREQ_STATE_OPEN);
	NUMBER("FINISHED", ZCREQ_STATE_FINISHED);
	NUMBER("ABORTING", ZCREQ_STATE_ABORTING);
	NUMBER("ABORTED_FINISHED", ZCREQ_STATE_ABORTED_FINISHED);
	NUMBER("QUARANTINED", ZCREQ_STATE_QUARANTINED);
	NUMBER("DONE", ZCREQ_STATE_DONE);
	NUMBER("EVENTS", ZCREQ_EVENT_COUNT);
	NUMBER("BEGIN", ZCREQ_EVENT_BEGIN);
	NUMBER("HOLD", ZCREQ_EVENT_HOLD);
	NUMBER("FINISH", ZCREQ_EVENT_FINISH);
	NUMBER("ABORT", ZCREQ_EVENT_ABORT);
	NUMBER("DEADLINE", ZCREQ_EVENT_DEADLINE);
	NUMBER("PROVEN_ALL", ZCREQ_EVENT_PROVEN);
	NUMBER("LAST", ZCREQ_EVENT_LAST);
	NUMBER("REPORTED", ZCREQ_EVENT_REPORTED);
	NUMBER("DUE_SETTLED", ZCREQ_DUE_SETTLED);
	NUMBER("DUE_ABORTING", ZCREQ_DUE_ABORTING);
	NUMBER("DUE_QUARANTINED", ZCREQ_DUE_QUARANTINED);
	NUMBER("DUE_RELEASED", ZCREQ_DUE_RELEASED);
	NUMBER("CONN_OPEN", ZCREQ_CONN_OPEN);
	NUMBER("CONN_DRAINING", ZCREQ_CONN_DRAINING);
	NUMBER("CONN_ABORTING", ZCREQ_CONN_ABORTING);
	NUMBER("CONN_QUARANTINED", ZCREQ_CONN_QUARANTINED);
	NUMBER("CONN_CLOSED", ZCREQ_CONN_CLOSED);
	NUMBER("CONN_EVENTS", ZCREQ_CONN_EVENT_COUNT);
	NUMBER("CONN_DRAIN", ZCREQ_CONN_EVENT_DRAIN);
	NUMBER("CONN_ABORT", ZCREQ_CONN_EVENT_ABORT);
	NUMBER("CONN_DEADLINE", ZCREQ_CONN_EVENT_DEADLINE);
	NUMBER("CONN_EMPTY", ZCREQ_CONN_EVENT_EMPTY);
}

int main(void)
{
	printf("/* written by tables.c from lib/core/request.c and lib/core/conn.c */\n");
	write_names();
	write_table("request_table", &zcreq_request_transitions[0][0], ZCREQ_STATE_DONE + 1,
		    ZCREQ_EVENT_COUNT);
	write_table("conn_table", &zcreq_conn_transitions[0][0], ZCREQ_CONN_CLOSED + 1,
		    ZCREQ_CONN_EVENT_COUNT);
	return 0;
}
