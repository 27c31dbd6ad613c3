/*
 * An emulator without a machine, to look at an image whose VM does not run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "vsmctl/qmp.h"

/**
 * EmulatorOptions:
 * @program: QEMU with VSM; found in PATH if it has no slash
 * @image: the qcow2 image that holds the VM state; opened read-only
 * @uuid: the VM's
 * @attester: (nullable): "unix:PATH" of the daemon; NULL: the host options
 */
typedef struct {
    const char *program, *image, *uuid, *attester;
} EmulatorOptions;

typedef struct _Emulator Emulator;

/**
 * emulator_start:
 *
 * Errors: VSM_ERROR_INVALID for what cannot be run, VSM_ERROR_CONNECTION with
 * what the emulator said before it ended, those of qmp_open_fd().
 */
Emulator *emulator_start(const EmulatorOptions *options, GError **error);

/* Borrowed. */
Qmp *emulator_qmp(Emulator *emulator);

/* Ends the process. */
void emulator_free(Emulator *emulator);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Emulator, emulator_free)
