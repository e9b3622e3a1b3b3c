"""The device's side: its keys, its requests, what came back."""
