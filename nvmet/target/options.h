/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - the command line becomes struct options
 *
 * Owns: the text of a file of namespaces, and of a file of options; other strings stay argv's.
 * Never: ends the program.
 */
#ifndef NVMET_OPTIONS_H
#define NVMET_OPTIONS_H

#include "target.h"

/* 0 to go on, 1 to end well (help was printed), -EINVAL after saying why. */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

/* Sets one, by its name, as a line of a file does; @value is NULL where there is none.
 * 0, or -EINVAL after saying why. */
int options_set(struct options *options, const char *name, const char *value);

/* Sets what a file says (config_file.c). 0, or -EINVAL after saying why. */
int config_read(struct options *options, const char *path);

/* Adds the namespaces that a file lists (namespace_file.c). 0, or -EINVAL after saying why. */
int namespaces_read(struct options *options, const char *path);

#endif
