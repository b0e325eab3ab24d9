"""Voices: engines that turn text into sound with timed phones, behind one protocol."""
