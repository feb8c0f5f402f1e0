package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
)

var tokenBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// TokenHash is what is stored of a token.
type TokenHash = [sha256.Size]byte

// NewToken returns a secret of 160 random bits and the hash to store of it.
// Its 32 lower-case letters and digits fit a cookie, an address's local part
// (RFC 5321 §4.5.3.1.1: 64 bytes) and a link.
func NewToken() (secret string, hash TokenHash) {
	b := make([]byte, 20)
	_, _ = rand.Read(b) // never fails since Go 1.24
	secret = tokenBase32.EncodeToString(b)
	return secret, HashToken(secret)
}

// HashToken returns the hash of exactly this text. No salt and no slow hash
// are needed for 160 random bits. A look-up by hash leaks no useful time.
func HashToken(secret string) TokenHash { return sha256.Sum256([]byte(secret)) }
