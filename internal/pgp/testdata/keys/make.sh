#!/bin/sh
# Makes the fixed test keys in this folder anew. They are worth nothing: their
# private halves stand here without passphrase.
set -eu
GNUPGHOME=$(mktemp -d /tmp/gXXXXXX)
export GNUPGHOME
trap 'gpgconf --homedir "$GNUPGHOME" --kill all; rm -rf "$GNUPGHOME"' EXIT
g() { gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase '' --faked-system-time "$at" "$@" 2>/dev/null; }
fpr() { gpg --list-keys --with-colons "$1@example.org" 2>/dev/null | awk -F: '/^fpr/ { print $10; exit }'; }
make() { # name, user name, primary, subkey or -, expiry
	g --quick-gen-key "$2 <$1@example.org>" "$3" cert,sign "$5"
	test "$4" = - || g --quick-add-key "$(fpr "$1")" "$4" encr "$5"
}
at=20240101T000000
make alice 'Alice Example' ed25519 cv25519 never
make bob 'Bob Example' rsa3072 rsa3072 never
make carol 'Carol Four' rsa4096 rsa4096 never
make weak 'Weak Key' rsa1024 rsa1024 never
make dsa 'Old Key' dsa2048 elg2048 never
make signonly 'Sign Only' ed25519 - never
make revoked 'Revoked Rita' ed25519 cv25519 never
sed 's/^:-----/-----/' "$GNUPGHOME/openpgp-revocs.d/$(fpr revoked).rev" | g --import
g --cert-digest-algo SHA1 --quick-gen-key 'Sha One <sha1@example.org>' rsa2048 cert,sign never
g --cert-digest-algo SHA1 --quick-add-key "$(fpr sha1)" rsa2048 encr never
at=20200101T000000
make expired 'Expired Eve' ed25519 cv25519 1y
for n in alice bob carol weak dsa signonly revoked sha1 expired; do
	g --armor --export "$n@example.org" >"$n.asc"
done
for n in alice bob carol sha1 expired; do
	g --armor --export-secret-keys "$n@example.org" >"$n.sec.asc"
done
