"""What is not to be believed any more."""
