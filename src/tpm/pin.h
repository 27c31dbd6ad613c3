/*
 * Keeps the loaded transport libraries mapped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

/**
 * vsm_tpm_pin_transports:
 *
 * Every TCTI library that is loaded now stays mapped until the process ends.
 * The hypervisor digest covers each file that is mapped executable: it must not
 * change because a connection to the TPM was lost and its library unloaded.
 *
 * Threads: any.
 */
void vsm_tpm_pin_transports(void);
