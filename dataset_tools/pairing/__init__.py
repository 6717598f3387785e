"""Draw recipes as whole arrays: what sounds in any window, which edits exist, which windows match."""
