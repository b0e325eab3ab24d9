"""Servers that the tests bring along, because no emulator of Google's can be taken for granted.

They speak the real protocols over TCP, so the real client libraries are what is tested. Where the
standard variables FIRESTORE_EMULATOR_HOST and STORAGE_EMULATOR_HOST are set, the same tests run
against those servers instead.
"""
