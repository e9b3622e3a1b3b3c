"""`homeca kit`: a folder that a person carries to a device."""
