"""Render recipes and write them as shards; read shards back and check them."""
