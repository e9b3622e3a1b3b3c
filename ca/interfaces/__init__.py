"""What crosses from room to room: the Protocols and the frozen records.

No implementation, no ORM row, no DER. Times are aware, UTC, whole seconds. Serials are ints.
A record says what is so; a Protocol says who may be asked. Everything that touches the world
(clock, entropy, key, store) is one of these, so every service can be driven by a test.
"""
