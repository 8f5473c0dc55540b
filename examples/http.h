/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http.h - serving the files of a folder, for any loop
 *
 * What http-epoll, http-ev and http-uring have in common: everything but the loop and the
 * call that opens a stream. A loop hands in new sockets, and zcreq_turn() does the rest.
 */
#ifndef HTTP_H
#define HTTP_H

#include <zcreq/zcreq.h>

/* As zcreq_stream_open(), which is one of them. */
typedef int http_open(struct zcreq_context *context, const struct zcreq_stream_options *options,
		      struct zcreq_conn **conn);

struct http_client;

struct http {
	struct zcreq_context *context;
	http_open *open;
	int folder;                  /* a descriptor */
	struct http_client *clients; /* all that are not closed */
	unsigned count, most;        /* how many, and how many may be */
	enum { HTTP_SERVES = 1, HTTP_STOPS, HTTP_OVER } state;
	void (*over)(struct http *http); /* may be NULL: stopped, and the last client is gone */
};

/* 0, or -errno if there is no such folder. */
int http_init(struct http *http, struct zcreq_context *context, http_open *stream_open,
	      const char *folder);
void http_deinit(struct http *http);

/* A connected socket, the server's from now on. */
void http_serve(struct http *http, int fd);

/* No more answers; what is on its way may arrive. http->over() may be called from inside. */
void http_stop(struct http *http);

/* ---- http-parse.c: the head of a request; nothing here knows about sending ---- */

struct http_request {
	char path[1024]; /* below the folder: relative, without "." and ".." */
	enum { HTTP_KEEP = 1, HTTP_CLOSE } after;
};

/* The length of the first whole head in @bytes, its empty line included; or 0. */
size_t http_head(const char *bytes, size_t len);

/* 200, or the status that this request gets instead of a file. @head is used up. */
int http_parse(char *head, size_t len, struct http_request *request);

#endif
