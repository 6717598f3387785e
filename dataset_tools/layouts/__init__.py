"""Read the dataset layouts that exist on people's disks: one file per layout."""
