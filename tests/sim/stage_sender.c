/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/stage.h"

/* Results and notifications come late, one notification for each batch. */
static const struct fake_sender_knobs knobs = { .seed = 1 };

const struct fake_sender_knobs *const stage_sends = &knobs;
