"""Where objects lie: files of this machine, and buckets; used through storage.py alone."""
