package pgp

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // RFC 9580 §5.5.4: the fingerprint of a version 4 key
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// strict is how keys are judged: no SHA-1 anywhere, RSA from 2048 bits, no DSA
// and no ElGamal. A key without flags may do everything, as GnuPG has it.
func strict() *packet.Config {
	weak := map[crypto.Hash]bool{crypto.SHA1: true, crypto.MD5: true, crypto.RIPEMD160: true}
	return &packet.Config{
		RejectHashAlgorithms:                weak,
		RejectMessageHashAlgorithms:         weak,
		MinRSABits:                          2047,
		InsecureAllowAllKeyFlagsWhenMissing: true,
	}
}

// lenient differs in taking SHA-1, to tell a weak binding from none.
func lenient() *packet.Config {
	c := strict()
	c.RejectHashAlgorithms = map[crypto.Hash]bool{crypto.MD5: true, crypto.RIPEMD160: true}
	return c
}

// Certificate is somebody's public key. It is immutable and safe for
// concurrent use: go-crypto's entities cache what they verified without a lock,
// so each judgment parses the bytes anew, and the one entity kept for
// encryption is behind a mutex.
type Certificate struct {
	raw         []byte
	fingerprint string
	keyIDs      []uint64
	subkeys     []string // fingerprints, in the order of keyIDs

	named     sync.Once // userIDs and addresses are read when somebody asks: each costs a verification
	userIDs   []string
	addresses []string

	mu     sync.Mutex
	cached *openpgp.Entity // asked strictly, and for encryption alone
}

// ParseCertificates reads one or several certificates, armored (text around
// the armor is passed over) or binary. Photos and other people's signatures are
// left out. The error is a CertificateProblem.
func ParseCertificates(b []byte) (list []*Certificate, err error) {
	defer func() {
		if recover() != nil {
			list, err = nil, CertificateUnsupported
		}
	}()
	if len(b) > maxCertificateInput {
		return nil, CertificateTooLarge
	}
	bins, err := keyBlocks(b)
	if err != nil {
		return nil, err
	}
	var problem error = CertificateNone
	for _, bin := range bins {
		parts, err := stripCertificates(bin)
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			c, err := newCertificate(p.out)
			if err != nil {
				problem = err
				continue
			}
			if list = append(list, c); len(list) > maxCertificates {
				return nil, CertificateTooManyKeys
			}
		}
	}
	if len(list) == 0 {
		return nil, problem
	}
	return list, nil
}

// keyBlocks gives the binary packets of every public key block in b.
func keyBlocks(b []byte) ([][]byte, error) {
	if isBinary(b) {
		return [][]byte{b}, nil
	}
	var bins [][]byte
	scan := blockScanner{text: inMemory(b), signedLeft: 16}
	for at := 0; at < len(b); {
		block, ok := scan.next(at)
		if !ok {
			break
		}
		switch block.shape {
		case ShapePrivateKey:
			return nil, CertificateSecret
		case ShapePublicKey:
			bins = append(bins, block.body)
		case ShapeBroken:
			if block.kind == armorPublicKey {
				return nil, CertificateBroken
			}
		}
		at = block.end
	}
	if len(bins) == 0 {
		return nil, CertificateNone
	}
	return bins, nil
}

func newCertificate(raw []byte) (*Certificate, error) {
	e, err := parseEntity(raw)
	if err != nil {
		return nil, CertificateUnsupported
	}
	c := &Certificate{raw: raw, fingerprint: strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint))}
	c.keyIDs = append(c.keyIDs, e.PrimaryKey.KeyId)
	c.subkeys = append(c.subkeys, c.fingerprint)
	for _, s := range e.Subkeys {
		c.keyIDs = append(c.keyIDs, s.PublicKey.KeyId)
		c.subkeys = append(c.subkeys, strings.ToUpper(hex.EncodeToString(s.PublicKey.Fingerprint)))
	}
	c.cached = e
	return c, nil
}

func parseEntity(raw []byte) (*openpgp.Entity, error) {
	return openpgp.ReadEntity(packet.NewReader(bytes.NewReader(raw)))
}

// entity parses the bytes anew. They were parsed once, so an error does not happen.
func (c *Certificate) entity() (*openpgp.Entity, error) {
	e, err := parseEntity(c.raw)
	if err != nil {
		return nil, fmt.Errorf("parse certificate %s: %w", c.fingerprint, err)
	}
	return e, nil
}

// readUserIDs keeps the user ids that the key itself has signed and not revoked.
// The library's panic on a hostile one leaves none.
func (c *Certificate) readUserIDs() {
	defer func() { _ = recover() }()
	e, err := c.entity()
	if err != nil {
		return
	}
	type uid struct {
		name    string
		primary bool
		at      time.Time
	}
	var list []uid
	for name, id := range e.Identities {
		sig, err := id.LatestValidSelfCertification(time.Time{}, lenient())
		if err != nil || id.Revoked(sig, sig.CreationTime.AddDate(100, 0, 0), lenient()) {
			continue
		}
		list = append(list, uid{name, sig.IsPrimaryId != nil && *sig.IsPrimaryId, sig.CreationTime})
	}
	slices.SortFunc(list, func(a, b uid) int {
		switch {
		case a.primary != b.primary && a.primary:
			return -1
		case a.primary != b.primary:
			return 1
		case !a.at.Equal(b.at):
			return b.at.Compare(a.at)
		}
		return strings.Compare(a.name, b.name)
	})
	for _, u := range list {
		c.userIDs = append(c.userIDs, cleanUserID(u.name))
		if a := addressOf(u.name); a != "" && !slices.Contains(c.addresses, a) {
			c.addresses = append(c.addresses, a)
		}
	}
}

// cleanUserID makes a user id fit to be shown: controls, line ends and
// direction marks become spaces, and what exceeds 200 characters is cut.
func cleanUserID(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == maxUserIDRunes {
			b.WriteRune('…')
			break
		}
		switch {
		case r == utf8.RuneError:
			r = '\ufffd'
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Co, r):
			r = ' '
		}
		b.WriteRune(r)
		n++
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// addressOf gives the mail address of a user id, or "".
func addressOf(uid string) string {
	if len(uid) > 1024 {
		return ""
	}
	s := uid
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		j := strings.IndexByte(s[i:], '>')
		if j < 0 {
			return ""
		}
		s = s[i+1 : i+j]
	}
	s = strings.TrimSpace(s)
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || len(s) > 254 || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
	}) {
		return ""
	}
	i := strings.LastIndexByte(s, '@')
	return s[:i] + strings.ToLower(s[i:])
}

// Fingerprint is the primary key's, in upper-case hexadecimal.
func (c *Certificate) Fingerprint() string { return c.fingerprint }

// FingerprintGroups is the fingerprint in groups of four, for people to compare.
func (c *Certificate) FingerprintGroups() string { return groups(c.fingerprint) }

func groups(fp string) string {
	var parts []string
	for len(fp) > 4 {
		parts = append(parts, fp[:4])
		fp = fp[4:]
	}
	return strings.Join(append(parts, fp), " ")
}

// KeyIDs lists the primary key's id and those of all subkeys, whatever their state.
func (c *Certificate) KeyIDs() []uint64 { return slices.Clone(c.keyIDs) }

// UserIDs lists the user ids that the key itself signed and did not revoke,
// primary first, made fit to be shown (still to be escaped for HTML).
func (c *Certificate) UserIDs() []string {
	c.named.Do(c.readUserIDs)
	return slices.Clone(c.userIDs)
}

// Addresses lists the mail addresses of those user ids, domains in lower case.
func (c *Certificate) Addresses() []string {
	c.named.Do(c.readUserIDs)
	return slices.Clone(c.addresses)
}

// Binary is the certificate as it is kept: without photos and other people's signatures.
func (c *Certificate) Binary() []byte { return slices.Clone(c.raw) }

// Armored is Binary in armor with its checksum.
func (c *Certificate) Armored() []byte { return armored(armorPublicKey, c.raw) }

// Minimal is the certificate without photos and other people's signatures,
// which is how every Certificate is kept.
func (c *Certificate) Minimal() *Certificate { return c }

func fingerprintV4(body []byte) [20]byte {
	h := sha1.New() //nolint:gosec // see the import
	h.Write([]byte{0x99, byte(len(body) >> 8), byte(len(body))})
	h.Write(body)
	return [20]byte(h.Sum(nil))
}

func fingerprintV6(body []byte) [32]byte {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32([]byte{0x9b}, uint32(len(body))))
	h.Write(body)
	return [32]byte(h.Sum(nil))
}

// encryptionKey gives the key to encrypt to at the time. What it returns is
// only read, by any number of goroutines. The error is a *KeyError.
func (c *Certificate) encryptionKey(now time.Time) (openpgp.Key, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cached != nil {
		if k, err := askForEncryption(c.cached, now); err == nil {
			return k, nil
		}
	}
	// An entity remembers a signature as bad that had only expired, or not yet
	// begun, at an earlier question: ask a fresh one, which also says why.
	if err := c.usable(now, forEncryption); err != nil {
		return openpgp.Key{}, err
	}
	e, err := c.entity()
	if err != nil {
		return openpgp.Key{}, &KeyError{Problem: ProblemUnsupported, Fingerprint: c.fingerprint}
	}
	k, err := askForEncryption(e, now)
	if err != nil {
		return openpgp.Key{}, &KeyError{Problem: ProblemInvalid, Fingerprint: c.fingerprint}
	}
	c.cached = e
	return k, nil
}

// askForEncryption turns a panic of the library into an error.
func askForEncryption(e *openpgp.Entity, now time.Time) (k openpgp.Key, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the key cannot be judged")
		}
	}()
	return e.EncryptionKeyWithError(now, strict())
}
