/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_scene.h - a file of pages, written by the test, for zcreq-top to read
 */
#ifndef ZCREQ_TESTS_TOP_SCENE_H
#define ZCREQ_TESTS_TOP_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "top.h"

#define TOP_ROOM 3 /* connections of a page */
#define TOP_NOW (1000 * 1000000000ull)

/* One page, as it stands in the file. */
struct top_page {
	struct zcreq_page head;
	struct zcreq_page_conn conns[TOP_ROOM];
};

extern char top_path[64]; /* of the file */

/* A fixture: a folder with no file in it. */
void top_setup(void);
void top_teardown(void);

/* A page of a program that is this test, with two connections, and a third that vanished. */
struct top_page top_page(void);

/* The file has these bytes, and no others. */
void top_write(const void *bytes, size_t len);

/* They are read: NULL, or what is wrong. */
const char *top_read(struct pages *pages);

/* What is shown of a file that can be read; to be freed. */
char *top_screen(const struct view *view);
char *top_samples(uint64_t now);

/* What a program of the build folder says, its standard output or error; its exit status. */
int top_run(const char *arguments, char *said, size_t size);

#endif
