"""The typer commands: parse, call one service, show. The one place where an error becomes text."""
