/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http-parse.c - the head of an HTTP/1.x request: as little as a file server needs
 *
 * What is not understood is refused: a server that guesses where a request ends serves
 * somebody else's.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http.h"

size_t http_head(const char *bytes, size_t len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);

	return end ? (size_t)(end - bytes) + 4 : 0;
}

static int hex(char digit)
{
	if (!isxdigit((unsigned char)digit))
		return -1;
	return isdigit((unsigned char)digit) ? digit - '0' : tolower(digit) - 'a' + 10;
}

/* "%41" is "A". Decoded first and judged afterwards, or "%2e%2e" would get out. */
static int decode(const char *target, char *path, size_t size)
{
	size_t len = 0;

	for (; *target && *target != '?'; target++) {
		int byte = (unsigned char)*target;

		if (byte == '%') {
			int high = hex(target[1]), low = high < 0 ? -1 : hex(target[2]);

			if (low < 0)
				return 400;
			byte = high * 16 + low;
			target += 2;
		}
		if (byte < ' ' || len + 1 >= size)
			return 400;
		path[len++] = (char)byte;
	}
	path[len] = '\0';
	return 200;
}

/* Each part has to be a name. "" is refused as well: "//etc/passwd" begins with "/etc". */
static int judge(const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return 404;
		path += len;
		path += *path == '/';
	}
	return 200;
}

static int parse_target(const char *target, struct http_request *request)
{
	int status;

	if (*target != '/')
		return 400;
	status = decode(target + 1, request->path, sizeof(request->path));
	if (status == 200 && !*request->path)
		snprintf(request->path, sizeof(request->path), "index.html");
	return status == 200 ? judge(request->path) : status;
}

static int parse_field(char *line, struct http_request *request, unsigned *hosts)
{
	size_t len = strcspn(line, " \t:");
	char *value = line + len + 1;

	if (len == 0 || line[len] != ':')
		return 400;
	line[len] = '\0';
	if (value[strcspn(value, "\r\n")]) /* somebody else may take it for the end of a line */
		return 400;
	value += strspn(value, " \t");
	if (!strcasecmp(line, "Host"))
		++*hosts;
	else if (!strcasecmp(line, "Connection") && strcasestr(value, "close"))
		request->after = HTTP_CLOSE;
	else if (!strcasecmp(line, "Connection") && strcasestr(value, "keep-alive"))
		request->after = HTTP_KEEP;
	else if (!strcasecmp(line, "Transfer-Encoding") ||
		 (!strcasecmp(line, "Content-Length") && strcmp(value, "0") != 0))
		return 400; /* a body, which nobody here reads */
	return 200;
}

int http_parse(char *head, size_t len, struct http_request *request)
{
	char *line = head, *end, *target, *version;
	unsigned hosts = 0;
	int status = 200, new;

	request->after = HTTP_CLOSE; /* unless all of it is understood */
	if (memchr(head, '\0', len))
		return 400;
	head[len - 2] = '\0'; /* the empty line; each line before it ends with CRLF */
	end = strstr(line, "\r\n");
	*end = '\0';
	target = strchr(line, ' ');
	version = target ? strchr(target + 1, ' ') : NULL;
	if (!version || (strcmp(version, " HTTP/1.1") != 0 && strcmp(version, " HTTP/1.0") != 0))
		return 400;
	*target++ = *version = '\0';
	new = version[8] == '1';
	if (strcmp(head, "GET") != 0)
		return 405; /* whatever its fields say, and its body */
	request->after = new ? HTTP_KEEP : HTTP_CLOSE;
	for (line = end + 2; *line && status == 200; line = end + 2) {
		end = strstr(line, "\r\n");
		*end = '\0';
		status = parse_field(line, request, &hosts);
	}
	if (status == 200 && hosts != 1 && (new || hosts))
		status = 400;
	if (status == 200)
		status = parse_target(target, request);
	if (status == 400)
		request->after = HTTP_CLOSE;
	return status;
}
