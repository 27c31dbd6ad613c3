/*
 * HMP: vsm_verify, vsm_attest, vsm_rollback
 *
 * Included in the middle of QEMU's table; hmp.c has the functions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

{
    .name = "vsm_verify",
    .args_type = "snapshot:s,nonce:s?",
    .params = "snapshot [nonce]",
    .help = "check a snapshot's stored bytes against what was sealed",
},
    {
        .name = "vsm_attest",
        .args_type = "runtime:-r,snapshot:s,nonce:s?",
        .params = "[-r] snapshot [nonce]",
        .help = "measure the VM against a sealed snapshot (-r: the runtime "
                "scope, what must not change in a running guest)",
    },
    {
        .name = "vsm_rollback",
        .args_type = "snapshot:s,nonce:s?",
        .params = "snapshot [nonce]",
        .help = "check a sealed snapshot, load it, measure the VM",
    },
