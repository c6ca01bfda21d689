// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The maps and load-time settings that all programs share (maps.h), defined once. */
#define FLIGHTREC_DEFINE_MAPS
#include "maps.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
