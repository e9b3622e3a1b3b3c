"""The record of what was issued: Core tables, one durable commit per act, no DER parsing."""
