/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/stage.h"

const struct fake_sender_knobs *const stage_sends = NULL;
