/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * render.h - how facts are told: for each format, what to write of each kind of them
 *
 * A renderer is given facts that are complete, and writes. It does not know that there
 * are others.
 */
#ifndef ZCREQ_LIB_RENDER_H
#define ZCREQ_LIB_RENDER_H

#include "explain/facts.h"
#include "explain/writer.h"

struct zcreq_renderer {
	void (*request)(struct zcreq_writer *w, const struct zcreq_request_facts *facts);
	void (*conn)(struct zcreq_writer *w, const struct zcreq_conn_facts *facts);
	void (*context)(struct zcreq_writer *w, const struct zcreq_context_facts *facts);
	const char *instead; /* of what does not fit; NULL: it is cut */
};

extern const struct zcreq_renderer zcreq_text_renderer; /* text.c */
extern const struct zcreq_renderer zcreq_json_renderer; /* json.c */

/* text.c: "4.2 s", enough for people. */
void zcreq_text_duration(struct zcreq_writer *w, uint64_t ns);

/* json.c: a number of milliseconds, and a string of anybody's. */
void zcreq_json_ms(struct zcreq_writer *w, uint64_t ns);
void zcreq_json_string(struct zcreq_writer *w, const char *string);

#endif
