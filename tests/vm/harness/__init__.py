# SPDX-License-Identifier: Apache-2.0
"""The guest harness: image (initramfs, disk), outside (nginx), machine (QEMU), case (what a case file may use)."""
