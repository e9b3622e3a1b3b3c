"""`homeca verify`: is this ours, and good now?"""
