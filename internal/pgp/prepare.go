package pgp

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Errors of preparing and encrypting.
var (
	ErrNoRecipient    = errors.New("nobody to encrypt to")
	ErrEmbedSignature = errors.New("only one version 4 or 6 signature packet of type 0x00 can be embedded")
)

// Prepared is one message, signed and compressed once, to be encrypted for any
// number of recipients. The signature covers the literal, and names no
// recipient (no Intended Recipient subpacket), so that the same packet serves all.
// It is immutable and safe for concurrent use.
type Prepared struct {
	zip    []byte // compressed packet; nil where compressing gained nothing
	plain  []byte // one-pass, literal, signature
	digest [sha256.Size]byte
}

// Prepare signs entity with the team's signing key and prepares it.
// entity is taken byte for byte.
func Prepare(entity []byte, s *Secret, now time.Time) (*Prepared, error) {
	sig, raw, err := s.sign(entity, false, now)
	if err != nil {
		return nil, fmt.Errorf("prepare message: %w", err)
	}
	return prepare(entity, sig, raw)
}

// PrepareUnsigned prepares entity without a signature.
func PrepareUnsigned(entity []byte) (*Prepared, error) { return prepare(entity, nil, nil) }

// PrepareWithSignature prepares entity with a signature that somebody else
// made over its very bytes, armored or binary: its packet is embedded
// unchanged (RFC 3156 §6.2). It is not verified here: CheckReleaserSignature does.
func PrepareWithSignature(entity, signature []byte) (*Prepared, error) {
	raw, sig, err := oneSignature(signature)
	if err != nil {
		return nil, errors.Join(ErrEmbedSignature, err)
	}
	if sig.SigType != packet.SigTypeBinary {
		return nil, ErrEmbedSignature
	}
	return prepare(entity, sig, raw)
}

func prepare(entity []byte, sig *packet.Signature, raw []byte) (*Prepared, error) {
	if sig != nil && sig.IssuerKeyId == nil {
		return nil, ErrEmbedSignature
	}
	var b bytes.Buffer
	if sig != nil {
		ops := packet.OnePassSignature{
			Version: 3, SigType: sig.SigType, Hash: sig.Hash, PubKeyAlgo: sig.PubKeyAlgo,
			KeyId: *sig.IssuerKeyId, IsLast: true,
		}
		if sig.Version == 6 {
			ops.Version, ops.Salt, ops.KeyFingerprint = 6, sig.Salt(), sig.IssuerFingerprint
		}
		if err := ops.Serialize(&b); err != nil {
			return nil, fmt.Errorf("write one-pass signature: %w", err)
		}
	}
	// Name and date of a literal are not signed, so they are left empty.
	lit, err := packet.SerializeLiteral(nopCloser{&b}, true, "", 0)
	if err != nil {
		return nil, fmt.Errorf("write literal: %w", err)
	}
	if _, err := lit.Write(entity); err != nil {
		return nil, fmt.Errorf("write literal: %w", err)
	}
	if err := lit.Close(); err != nil {
		return nil, fmt.Errorf("write literal: %w", err)
	}
	b.Write(raw)
	p := &Prepared{plain: b.Bytes(), digest: sha256.Sum256(entity)}

	var z bytes.Buffer
	zip, err := packet.SerializeCompressed(nopCloser{&z}, packet.CompressionZIP, &packet.CompressionConfig{Level: 6})
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := zip.Write(p.plain); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if z.Len() < len(p.plain) {
		p.zip = z.Bytes()
	}
	return p, nil
}

// Digest is the SHA-256 of the entity, which is what the recipient finds after
// decrypting.
func (p *Prepared) Digest() [sha256.Size]byte { return p.digest }

// Encrypt writes the message for one recipient, whose certificates are to: armored with
// checksum, under a fresh session key, one key packet (PKESK) per certificate,
// SEIPDv1. Any number of goroutines may call it. A certificate that cannot
// be encrypted to now gives its *KeyError before a byte is written.
func (p *Prepared) Encrypt(w io.Writer, to []*Certificate, now time.Time) error {
	if len(to) == 0 {
		return ErrNoRecipient
	}
	keys := make([]*packet.PublicKey, 0, len(to))
	zip, cipher := p.zip != nil, packet.CipherAES256
	for _, c := range to {
		k, err := c.encryptionKey(now)
		if err != nil {
			return err
		}
		keys = append(keys, k.PublicKey)
		var ciphers, compressions []uint8
		if s := k.PrimarySelfSignature; s != nil {
			ciphers, compressions = s.PreferredSymmetric, s.PreferredCompression
		}
		zip = zip && slices.Contains(compressions, uint8(packet.CompressionZIP))
		if !slices.Contains(ciphers, uint8(packet.CipherAES256)) {
			cipher = packet.CipherAES128 // which all must know (RFC 9580 §9.3)
		}
	}
	session := make([]byte, cipher.KeySize())
	if _, err := io.ReadFull(rand.Reader, session); err != nil {
		return fmt.Errorf("make session key: %w", err)
	}
	defer clear(session)
	armor, err := newArmorWriter(w, armorMessage)
	if err != nil {
		return fmt.Errorf("write armor: %w", err)
	}
	for _, k := range keys {
		if err := packet.SerializeEncryptedKeyAEADwithHiddenOption(armor, k, cipher, false, session, false, nil); err != nil {
			return fmt.Errorf("encrypt session key to %016X: %w", k.KeyId, err)
		}
	}
	body, err := packet.SerializeSymmetricallyEncrypted(armor, cipher, false, packet.CipherSuite{}, session, nil)
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	stream := p.plain
	if zip {
		stream = p.zip
	}
	if _, err := body.Write(stream); err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	if err := body.Close(); err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	if err := armor.Close(); err != nil {
		return fmt.Errorf("write armor: %w", err)
	}
	return nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
