"""The editor: tensors in, tensors out."""
