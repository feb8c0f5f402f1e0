package pgp

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Errors of ParseSecret, NewTeam and Renew.
var (
	ErrNoSecret       = errors.New("there is no OpenPGP private key in this text")
	ErrSeveralSecrets = errors.New("there is more than one private key in this text")
	ErrPassphrase     = errors.New("the passphrase of the private key is missing or wrong")
	ErrOfflinePrimary = errors.New("the primary private key is kept elsewhere: renew the subkeys there and import them again")
	ErrNoSubkeys      = errors.New("the private key has neither a signing nor an encryption key that can be used here")
	ErrUserID         = errors.New("name and address must not be empty or hold brackets or control characters")
)

// subkeyMonths is how long a subkey is good for: a year, and a month to renew in.
const subkeyMonths = 13

// Secret is a private key of the team, unprotected, in memory: whoever holds it
// seals its Bytes. It is immutable and safe for concurrent use. Nothing of it
// appears when it is formatted.
type Secret struct {
	raw  []byte
	cert *Certificate

	mu     sync.Mutex // guards entity: see Certificate
	entity *openpgp.Entity
}

// String names the key and nothing else, whatever the verb.
func (s *Secret) String() string { return "team key " + s.cert.fingerprint }

// GoString is String.
func (s *Secret) GoString() string { return s.String() }

// Format is String, whatever the verb.
func (s *Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// Subkey is one key of a Secret that signs or decrypts, the primary included
// where it does.
type Subkey struct {
	Fingerprint string
	KeyID       uint64
	CanSign     bool
	CanEncrypt  bool
	Created     time.Time
	Expires     time.Time // zero: never
	Revoked     bool
	Available   bool // the private half is here
}

// teamConfig makes keys that GnuPG 2.2 accepts: version 4, EdDSA (22) and ECDH
// (18), and no AEAD, which it would not understand.
func teamConfig(now time.Time, lifetime time.Duration) *packet.Config {
	return &packet.Config{
		Algorithm:              packet.PubKeyAlgoEdDSA,
		Curve:                  packet.Curve25519,
		DefaultHash:            crypto.SHA512,
		DefaultCipher:          packet.CipherAES256,
		DefaultCompressionAlgo: packet.CompressionZIP,
		KeyLifetimeSecs:        uint32(lifetime / time.Second),
		Time:                   func() time.Time { return now },
	}
}

// NewTeam makes a team key: an Ed25519 primary that only certifies and does
// not expire, and a signing and an encryption subkey of 13 months. The second result is
// an armored revocation certificate, to be kept away from the key.
func NewTeam(name, email string, now time.Time) (*Secret, []byte, error) {
	if strings.TrimSpace(name) == "" || addressOf(email) == "" || cleanUserID(name) != name {
		return nil, nil, ErrUserID
	}
	now = now.Truncate(time.Second)
	cfg := teamConfig(now, 0)
	e, err := openpgp.NewEntity(name, "", email, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("make team key: %w", errors.Join(ErrUserID, err))
	}
	for id, identity := range e.Identities {
		for _, sig := range identity.SelfCertifications {
			sig.Packet.FlagSign = false
			if err := sig.Packet.SignUserId(id, e.PrimaryKey, e.PrivateKey, cfg); err != nil {
				return nil, nil, fmt.Errorf("make team key certify-only: %w", err)
			}
		}
	}
	e.Subkeys = nil
	if err := addSubkeys(e, now); err != nil {
		return nil, nil, err
	}
	s, err := newSecret(e)
	if err != nil {
		return nil, nil, err
	}
	revocation, err := s.revocation(now)
	return s, revocation, err
}

func addSubkeys(e *openpgp.Entity, now time.Time) error {
	cfg := teamConfig(now, now.AddDate(0, subkeyMonths, 0).Sub(now))
	if err := e.AddSigningSubkey(cfg); err != nil {
		return fmt.Errorf("add signing subkey: %w", err)
	}
	if err := e.AddEncryptionSubkey(cfg); err != nil {
		return fmt.Errorf("add encryption subkey: %w", err)
	}
	return nil
}

// revocation makes a revocation certificate, without revoking.
func (s *Secret) revocation(now time.Time) ([]byte, error) {
	e, err := parseEntity(s.raw)
	if err != nil {
		return nil, fmt.Errorf("parse own key: %w", err)
	}
	if err := e.Revoke(packet.NoReason, "", teamConfig(now, 0)); err != nil {
		return nil, fmt.Errorf("make revocation certificate: %w", err)
	}
	var b bytes.Buffer
	if err := e.Revocations[len(e.Revocations)-1].Packet.Serialize(&b); err != nil {
		return nil, fmt.Errorf("write revocation certificate: %w", err)
	}
	return armored(armorPublicKey, b.Bytes()), nil
}

// newSecret serializes the entity, whose keys must be unprotected.
func newSecret(e *openpgp.Entity) (*Secret, error) {
	var private, public bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&private, nil); err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	if err := e.Serialize(&public); err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	certs, err := ParseCertificates(public.Bytes())
	if err != nil {
		return nil, fmt.Errorf("read own certificate: %w", err)
	}
	fresh, err := parseEntity(private.Bytes())
	if err != nil {
		return nil, fmt.Errorf("read own private key: %w", err)
	}
	return &Secret{raw: private.Bytes(), cert: certs[0], entity: fresh}, nil
}

// ParseSecret reads one private key, armored or binary: what Bytes and Export
// give, and what gpg --export-secret-keys and --export-secret-subkeys give (then the
// primary is missing, and Renew gives ErrOfflinePrimary).
func ParseSecret(b []byte, passphrase []byte) (s *Secret, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, ErrNoSecret
		}
	}()
	if len(b) > maxCertificateInput {
		return nil, CertificateTooLarge
	}
	bin, err := secretBlock(b)
	if err != nil {
		return nil, err
	}
	list, err := openpgp.ReadKeyRing(bytes.NewReader(bin))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSecret, err)
	}
	switch {
	case len(list) > 1:
		return nil, ErrSeveralSecrets
	case len(list) == 0 || list[0].PrivateKey == nil:
		return nil, ErrNoSecret
	}
	e := list[0]
	if err := e.DecryptPrivateKeys(passphrase); err != nil {
		return nil, ErrPassphrase
	}
	usable := 0
	for _, k := range e.Subkeys {
		if k.PrivateKey != nil && !k.PrivateKey.Dummy() {
			if k.PrivateKey.Encrypted {
				return nil, ErrPassphrase
			}
			usable++
		}
	}
	if !e.PrivateKey.Dummy() {
		if e.PrivateKey.Encrypted {
			return nil, ErrPassphrase
		}
		usable++
	}
	if usable == 0 {
		return nil, ErrNoSubkeys
	}
	return newSecret(e)
}

func secretBlock(b []byte) ([]byte, error) {
	if isBinary(b) {
		return b, nil
	}
	scan := blockScanner{text: inMemory(b), signedLeft: 1}
	for at := 0; at < len(b); {
		block, ok := scan.next(at)
		if !ok {
			break
		}
		if block.shape == ShapePrivateKey {
			return block.body, nil
		}
		at = block.end
	}
	return nil, ErrNoSecret
}

// Certificate is the public half.
func (s *Secret) Certificate() *Certificate { return s.cert }

// Bytes is the private key in binary, unprotected, for ParseSecret: to be
// sealed by the caller at once.
func (s *Secret) Bytes() []byte { return slices.Clone(s.raw) }

// Export is the private key in armor, protected so that GnuPG 2.2 can import
// it (AES-256, iterated and salted S2K at its highest count).
func (s *Secret) Export(passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, ErrPassphrase
	}
	e, err := parseEntity(s.raw)
	if err != nil {
		return nil, fmt.Errorf("parse own key: %w", err)
	}
	cfg := &packet.Config{
		DefaultCipher: packet.CipherAES256,
		S2KConfig:     &s2k.Config{S2KMode: s2k.IteratedSaltedS2K, S2KCount: 65011712, Hash: crypto.SHA256},
	}
	if err := e.EncryptPrivateKeys(passphrase, cfg); err != nil {
		return nil, fmt.Errorf("protect private key: %w", err)
	}
	var b bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&b, nil); err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	return armored(armorPrivateKey, b.Bytes()), nil
}

// Renew gives the key with a fresh signing and a fresh encryption subkey of 13 months.
// The old ones are kept: they still open, and from their expiry on are retired.
func (s *Secret) Renew(now time.Time) (*Secret, error) {
	e, err := parseEntity(s.raw)
	if err != nil {
		return nil, fmt.Errorf("parse own key: %w", err)
	}
	if e.PrivateKey == nil || e.PrivateKey.Dummy() {
		return nil, ErrOfflinePrimary
	}
	if err := addSubkeys(e, now.Truncate(time.Second)); err != nil {
		return nil, err
	}
	return newSecret(e)
}

// Subkeys lists the keys that sign or decrypt, as they are at the time.
func (s *Secret) Subkeys(now time.Time) []Subkey {
	e, err := parseEntity(s.raw)
	if err != nil {
		return nil
	}
	revoked := e.Revoked(now)
	var list []Subkey
	primary, _ := e.PrimarySelfSignature(now, strict())
	if primary == nil {
		primary, _ = e.PrimarySelfSignature(time.Time{}, strict())
	}
	if k := describe(e.PrimaryKey, e.PrivateKey, primary); k.CanSign || k.CanEncrypt {
		k.Revoked = revoked
		list = append(list, k)
	}
	for i := range e.Subkeys {
		sub := &e.Subkeys[i]
		sig, err := sub.LatestValidBindingSignature(time.Time{}, strict())
		if err != nil {
			continue
		}
		if k := describe(sub.PublicKey, sub.PrivateKey, sig); k.CanSign || k.CanEncrypt {
			k.Revoked = revoked || sub.Revoked(sig, now)
			list = append(list, k)
		}
	}
	return list
}

func describe(pub *packet.PublicKey, priv *packet.PrivateKey, sig *packet.Signature) Subkey {
	k := Subkey{
		Fingerprint: fmt.Sprintf("%X", pub.Fingerprint),
		KeyID:       pub.KeyId,
		Created:     pub.CreationTime,
		Available:   priv != nil && !priv.Dummy(),
	}
	if sig != nil {
		k.Expires = keyExpiry(pub, sig)
		k.CanSign = pub.PubKeyAlgo.CanSign() && (!sig.FlagsValid || sig.FlagSign)
		k.CanEncrypt = pub.PubKeyAlgo.CanEncrypt() && (!sig.FlagsValid || sig.FlagEncryptCommunications || sig.FlagEncryptStorage)
	}
	return k
}

// sessionKey opens a key packet with the subkey of that id; any id where it is
// 0. It gives the fingerprint of the subkey that did, and whether that subkey
// may be encrypted to at the time.
func (s *Secret) sessionKey(p *packet.EncryptedKey, now time.Time) (cipher packet.CipherFunction, key []byte, by string, current bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	try := func(priv *packet.PrivateKey) bool {
		if priv == nil || priv.Dummy() || p.KeyId != 0 && priv.KeyId != p.KeyId || priv.PubKeyAlgo != p.Algo {
			return false
		}
		p.Key = nil
		return p.Decrypt(priv, nil) == nil && len(p.Key) > 0
	}
	keep := p.CipherFunc
	for i := range s.entity.Subkeys {
		p.CipherFunc = keep
		sub := &s.entity.Subkeys[i]
		if !try(sub.PrivateKey) {
			continue
		}
		sig, err := sub.LatestValidBindingSignature(now, strict())
		current = err == nil && !sub.Revoked(sig, now) && !sub.Expired(sig, now)
		return p.CipherFunc, p.Key, fmt.Sprintf("%X", sub.PublicKey.Fingerprint), current
	}
	p.CipherFunc = keep
	if try(s.entity.PrivateKey) {
		return p.CipherFunc, p.Key, s.cert.fingerprint, true
	}
	return 0, nil, "", false
}
