/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * samples.h - is this what Prometheus reads? Its text exposition format, version 0.0.4
 *
 * Stricter than Prometheus itself: each name has a HELP and a TYPE before its samples, which
 * stand together; no sample comes twice; counters end in _total, and nothing else does; and
 * no sample has a time.
 */
#ifndef ZCREQ_TESTS_SAMPLES_H
#define ZCREQ_TESTS_SAMPLES_H

/* NULL, or the line that is wrong. */
const char *samples_wrong(const char *text);

/* Asserts that it is. */
void samples_check(const char *text);

#endif
