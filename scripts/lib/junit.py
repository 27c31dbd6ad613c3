"""Prints the passed, failed and skipped tests of JUnit files, as three numbers.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import sys
import xml.etree.ElementTree as ET

passed = failed = skipped = 0
for name in sys.argv[1:]:
    for case in ET.parse(name).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
print(passed, failed, skipped)
