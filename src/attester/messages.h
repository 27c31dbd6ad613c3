/*
 * The tables of all structs that cross the wire.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#pragma once

#include "attester/wire.h"

extern const VsmWire vsm_wire_vm;
extern const VsmWire vsm_wire_seal_request;
extern const VsmWire vsm_wire_disk;
extern const VsmWire vsm_wire_container;
extern const VsmWire vsm_wire_check_request;
extern const VsmWire vsm_wire_finding;
extern const VsmWire vsm_wire_measured;
extern const VsmWire vsm_wire_record;
extern const VsmWire vsm_wire_verdict;
extern const VsmWire vsm_wire_status;
extern const VsmWire vsm_wire_nothing;
extern const VsmWire vsm_wire_hello;
extern const VsmWire vsm_wire_list;
extern const VsmWire vsm_wire_records;
extern const VsmWire vsm_wire_id;
extern const VsmWire vsm_wire_put;
extern const VsmWire vsm_wire_seal_finish;
extern const VsmWire vsm_wire_get;
extern const VsmWire vsm_wire_bytes;
extern const VsmWire vsm_wire_error;
