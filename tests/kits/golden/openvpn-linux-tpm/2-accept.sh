#!/bin/sh
# Checks alice-phone.home.arpa.crt before OpenVPN uses it: from this CA, and for the key in this TPM.
set -eu
cd "$(dirname "$0")"
certificate=alice-phone.home.arpa.crt

print=$(openssl x509 -in root.pem -outform DER | sha256sum | cut -d ' ' -f 1 | tr a-f A-F)
if [ "$print" != 207E47849C2432C7EA5CF52A0AA8C7B6CF27761A9E17580684C9DEC11680F284 ]; then
    echo 'root.pem is not the root this kit was made for.' >&2
    exit 1
fi
openssl verify -CAfile root.pem -untrusted "$certificate" "$certificate"
mine=$(openssl req -in alice-phone.home.arpa.csr -noout -pubkey)
if [ "$(openssl x509 -in "$certificate" -noout -pubkey)" != "$mine" ]; then
    echo "$certificate is for another key." >&2
    exit 1
fi
echo "Good. Start with: sudo openvpn --config alice-phone.home.arpa.ovpn"
