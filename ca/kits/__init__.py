"""What a person carries to a device: files made of a certificate and what is known around it."""
