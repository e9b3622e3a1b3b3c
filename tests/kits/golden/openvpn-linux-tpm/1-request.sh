#!/bin/sh
# Makes a key in this machine's TPM and a request for its certificate.
# alice-phone.home.arpa.tss is of use to this TPM alone; only alice-phone.home.arpa.csr goes to the CA.
set -eu
umask 077
cd "$(dirname "$0")"
key=alice-phone.home.arpa.tss
request=alice-phone.home.arpa.csr

if [ -e "$key" ]; then
    echo "$key exists: the key was made already. Take $request to the CA." >&2
    exit 1
fi
if ! openssl list -providers -provider tpm2 >/dev/null 2>&1; then
    echo 'OpenSSL does not find its tpm2 provider: install the package tpm2-openssl.' >&2
    exit 1
fi

trap 'rm -f "$key.new" "$request.new"' EXIT
openssl genpkey -provider tpm2 -provider default -propquery '?provider=tpm2' \
    -algorithm EC -pkeyopt group:P-256 -out "$key.new"
openssl req -new -provider tpm2 -provider default -propquery '?provider=tpm2' \
    -key "$key.new" -subj /CN=alice-phone.home.arpa \
    -addext subjectAltName=DNS:alice-phone.home.arpa \
    -out "$request.new"
mv "$key.new" "$key"
mv "$request.new" "$request"
echo "Take $request to the CA."
