#!/bin/sh
# Makes this computer trust Home; run it as root. "remove" takes it back.
set -eu
cd "$(dirname "$0")"
file=home.crt
anchor=/usr/local/share/ca-certificates/$file

if [ "${1-}" = remove ]; then
    rm -f "$anchor"
    exec update-ca-certificates --fresh
fi
print=$(openssl x509 -in "$file" -outform DER | sha256sum | cut -d ' ' -f 1 | tr a-f A-F)
if [ "$print" != 207E47849C2432C7EA5CF52A0AA8C7B6CF27761A9E17580684C9DEC11680F284 ]; then
    echo "$file is not the root this kit was made for." >&2
    exit 1
fi
install -D -m 0644 "$file" "$anchor"
update-ca-certificates
