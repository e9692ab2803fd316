"""The kinds of files that can be read: one module for each, all behind the one interface of base.py."""
