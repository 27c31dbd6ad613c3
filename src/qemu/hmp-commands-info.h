/*
 * HMP: info vsm
 *
 * Included in the middle of QEMU's table; hmp.c has the functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

{
    .name = "vsm",
    .args_type = "",
    .params = "",
    .help = "show the snapshot manager, sealed snapshots, last answers and "
            "the last refusal",
},
