/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - what requests, connections and contexts wait for: looks, then tells
 *
 * The three questions of zcreq/explain.h. Each of them fills facts (facts.h) and hands them
 * to the renderer of the format (render.h). The answer of a context needs some 14 KiB of
 * stack, that of a connection half as much: nothing is allocated.
 */
#include <errno.h>

#include <zcreq/explain.h>

#include "explain/render.h"

static const struct zcreq_renderer *const renderers[] = {
	[ZCREQ_TEXT] = &zcreq_text_renderer,
	[ZCREQ_JSON] = &zcreq_json_renderer,
};

/* NULL if the question is wrong. */
static const struct zcreq_renderer *renderer_of(enum zcreq_format format, const char *text,
						size_t size)
{
	if ((unsigned)format >= sizeof(renderers) / sizeof(*renderers) || (!text && size))
		return NULL;
	return renderers[format];
}

int zcreq_request_explain(const struct zcreq_context *context, zcreq_id id,
			  enum zcreq_format format, char *text, size_t size)
{
	const struct zcreq_renderer *renderer = renderer_of(format, text, size);
	struct zcreq_writer w = {.text = text, .size = size};
	struct zcreq_request_facts facts;
	const struct zcreq_slot *slot;

	if (!context || !renderer)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_LOOKS);
	slot = zcreq_slots_find(&context->requests, id.bits, sizeof(struct zcreq_request));
	if (!slot)
		return -ESTALE;
	zcreq_request_look((const struct zcreq_request *)slot, &facts);
	renderer->request(&w, &facts);
	return zcreq_writer_end(&w, renderer->instead);
}

int zcreq_conn_explain(const struct zcreq_conn *conn, enum zcreq_format format, char *text,
		       size_t size)
{
	const struct zcreq_renderer *renderer = renderer_of(format, text, size);
	struct zcreq_request_facts requests[ZCREQ_FACTS_REQUESTS_OF_CONN];
	struct zcreq_writer w = {.text = text, .size = size};
	struct zcreq_conn_facts facts;

	if (!conn || !renderer)
		return -EINVAL;
	zcreq_guard_hears(conn->context, conn, ZCREQ_CALL_LOOKS);
	zcreq_conn_look(conn, ZCREQ_FACTS_REQUESTS_OF_CONN, requests, &facts);
	renderer->conn(&w, &facts);
	return zcreq_writer_end(&w, renderer->instead);
}

int zcreq_context_explain(const struct zcreq_context *context, enum zcreq_format format,
			  char *text, size_t size)
{
	const struct zcreq_renderer *renderer = renderer_of(format, text, size);
	struct zcreq_writer w = {.text = text, .size = size};
	struct zcreq_context_facts facts;

	if (!context || !renderer)
		return -EINVAL;
	zcreq_guard_hears(context, NULL, ZCREQ_CALL_LOOKS);
	zcreq_context_look(context, &facts);
	renderer->context(&w, &facts);
	return zcreq_writer_end(&w, renderer->instead);
}
