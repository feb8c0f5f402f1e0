package pgp

import (
	"crypto"
	"errors"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Refusal says why a releaser's signature is not accepted. The set is closed;
// each is an error with a sentence for people that says what to do.
type Refusal string

const (
	RefusedNoSignature  Refusal = "no-signature"
	RefusedPrivateKey   Refusal = "private-key"
	RefusedClearSigned  Refusal = "clear-signed"
	RefusedMessage      Refusal = "message" // gpg --sign instead of --detach-sign
	RefusedPublicKey    Refusal = "public-key"
	RefusedDamaged      Refusal = "damaged"
	RefusedSeveral      Refusal = "several"
	RefusedVersion      Refusal = "version"
	RefusedType         Refusal = "type" // not 0x00
	RefusedHash         Refusal = "hash"
	RefusedUnsupported  Refusal = "unsupported"
	RefusedTooEarly     Refusal = "before-the-freeze"
	RefusedFuture       Refusal = "in-the-future"
	RefusedSigExpired   Refusal = "signature-expired"
	RefusedUnknownKey   Refusal = "unknown-key"
	RefusedKeyRevoked   Refusal = "key-revoked"
	RefusedKeyExpired   Refusal = "key-expired"
	RefusedKeyNotYet    Refusal = "key-not-yet-valid"
	RefusedKeyWeak      Refusal = "key-weak"
	RefusedKeyNotToSign Refusal = "key-not-for-signing"
	RefusedOtherBytes   Refusal = "other-bytes" // does not match: changed, or another text
)

// Error returns one sentence for people.
func (r Refusal) Error() string {
	switch r {
	case RefusedNoSignature:
		return "There is no OpenPGP signature here: sign the fetched file with gpg --detach-sign and send the result."
	case RefusedPrivateKey:
		return "This is a private key, not a signature. It was not kept; consider the key exposed."
	case RefusedClearSigned:
		return "This is a clear-signed text: sign with gpg --detach-sign instead."
	case RefusedMessage:
		return "This is a whole OpenPGP message: sign with gpg --detach-sign instead of --sign."
	case RefusedPublicKey:
		return "This is a public key, not a signature."
	case RefusedDamaged:
		return "The signature is damaged or cut off: send it again."
	case RefusedSeveral:
		return "There is more than one signature here: exactly one is accepted."
	case RefusedVersion:
		return "The signature is of a version that is not accepted: only versions 4 and 6 are."
	case RefusedType:
		return "The signature is of another type than 0x00: sign with gpg --detach-sign, without --textmode."
	case RefusedHash:
		return "The signature uses a weak hash: SHA-256 or better is needed (gpg --digest-algo SHA512)."
	case RefusedUnsupported:
		return "The signature uses something we cannot check."
	case RefusedTooEarly:
		return "The signature was made before this text was frozen: fetch the file again and sign that."
	case RefusedFuture:
		return "The signature is dated in the future: check the clock of the machine that signed."
	case RefusedSigExpired:
		return "The signature itself has expired: sign without --default-sig-expire."
	case RefusedUnknownKey:
		return "The signature is by a key that is not registered for signing releases."
	case RefusedKeyRevoked:
		return "The key that signed has been revoked."
	case RefusedKeyExpired:
		return "The key that signed has expired: extend it and register it again."
	case RefusedKeyNotYet:
		return "The key that signed is dated in the future."
	case RefusedKeyWeak:
		return "The key that signed is too weak."
	case RefusedKeyNotToSign:
		return "The key that signed is not meant for signing."
	case RefusedOtherBytes:
		return "The signature is not over this text: fetch the file again, do not open or save it in an editor, and sign it."
	}
	return "The signature is not accepted."
}

// ReleaserSignature is a signature that CheckReleaserSignature accepted.
type ReleaserSignature struct {
	Fingerprint string // of the primary key
	KeyID       uint64 // of the key that signed
	Certificate *Certificate
	At          time.Time
	Hash        string // "pgp-sha512", as micalg names it
	Packet      []byte // the one signature packet, binary, as it was made
}

// clockSkew is how far in the future a signature may be dated.
const clockSkew = 5 * time.Minute

// CheckReleaserSignature accepts exactly one v4 or v6 signature packet of type
// 0x00 over entity's very bytes, armored or binary, with SHA-256 or better,
// made at or after notBefore (to the second), by a signing key of one of the allowed
// certificates that is neither revoked nor expired now. The error is a Refusal.
func CheckReleaserSignature(entity, signature []byte, allowed []*Certificate, notBefore, now time.Time) (got ReleaserSignature, err error) {
	defer func() {
		if recover() != nil {
			got, err = ReleaserSignature{}, RefusedUnsupported
		}
	}()
	raw, sig, err := oneSignature(signature)
	if err != nil {
		return got, err
	}
	switch {
	case sig.SigType != packet.SigTypeBinary:
		return got, RefusedType
	case !strongHash(sig.Hash):
		return got, RefusedHash
	case sig.IssuerKeyId == nil:
		return got, RefusedUnknownKey
	case sig.CreationTime.Unix() < notBefore.Unix():
		return got, RefusedTooEarly
	case sig.CreationTime.After(now.Add(clockSkew)):
		return got, RefusedFuture
	case sig.SigLifetimeSecs != nil && *sig.SigLifetimeSecs != 0 &&
		now.After(sig.CreationTime.Add(time.Duration(*sig.SigLifetimeSecs)*time.Second)):
		return got, RefusedSigExpired
	}
	for _, n := range sig.Notations {
		if n.IsCritical {
			return got, RefusedUnsupported
		}
	}
	err = RefusedUnknownKey
	for _, c := range allowed {
		if c == nil || !containsID(c.keyIDs, *sig.IssuerKeyId) {
			continue
		}
		if err = checkReleaser(c, sig, entity, now); err == nil {
			return ReleaserSignature{
				Fingerprint: c.fingerprint, KeyID: *sig.IssuerKeyId, Certificate: c,
				At: sig.CreationTime, Hash: micalg(sig.Hash), Packet: raw,
			}, nil
		}
	}
	return got, err
}

func strongHash(h crypto.Hash) bool {
	switch h {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512:
		return true
	}
	return false
}

func containsID(ids []uint64, id uint64) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

// checkReleaser checks one signature against one certificate, bytes first: who
// signed another text hears that before hearing of the key's state.
func checkReleaser(c *Certificate, sig *packet.Signature, entity []byte, now time.Time) error {
	h, err := sig.PrepareVerify()
	if err != nil {
		return RefusedUnsupported
	}
	h.Write(entity)
	e, err := c.entity()
	if err != nil {
		return RefusedUnsupported
	}
	pub := publicKey(e, sig)
	if pub == nil {
		return RefusedUnknownKey
	}
	if pub.VerifySignature(h, sig) != nil {
		return RefusedOtherBytes
	}
	if sig.CreationTime.Unix() < pub.CreationTime.Unix() {
		return RefusedKeyNotYet
	}
	switch c.signerProblem(sig, now) {
	case "":
		return nil
	case ProblemRevoked:
		return RefusedKeyRevoked
	case ProblemExpired:
		return RefusedKeyExpired
	case ProblemNotYetValid:
		return RefusedKeyNotYet
	case ProblemWeakKey, ProblemWeakAlgorithm, ProblemWeakHash:
		return RefusedKeyWeak
	case ProblemCannotSign:
		return RefusedKeyNotToSign
	}
	return RefusedUnsupported
}

// oneSignature takes what a person sent as a signature to its one packet. The error is a Refusal.
func oneSignature(b []byte) (raw []byte, sig *packet.Signature, err error) {
	if len(b) > maxSignatureInput {
		return nil, nil, RefusedSeveral
	}
	bin := b
	if !isBinary(b) {
		if bin, err = signatureBlock(b); err != nil {
			return nil, nil, err
		}
	}
	h, body, whole, rest, err := splitPacket(bin)
	switch {
	case err != nil:
		return nil, nil, RefusedDamaged
	case h.tag == tagSecretKey:
		return nil, nil, RefusedPrivateKey
	case h.tag == tagPublicKey:
		return nil, nil, RefusedPublicKey
	case h.tag == tagOnePass || h.tag == tagCompressed || h.tag == tagLiteral || h.tag == tagPKESK:
		return nil, nil, RefusedMessage
	case h.tag != tagSignature:
		return nil, nil, RefusedNoSignature
	case h.open || h.partial:
		return nil, nil, RefusedDamaged
	case len(rest) > 0:
		if h2, _, err := readHeader(rest); err == nil && h2.tag == tagLiteral {
			return nil, nil, RefusedMessage
		}
		return nil, nil, RefusedSeveral
	case len(body) == 0:
		return nil, nil, RefusedDamaged
	case body[0] != 4 && body[0] != 6:
		return nil, nil, RefusedVersion
	}
	if sig, err = parseSignature(whole); err != nil {
		return nil, nil, refusalOfParse(body, err)
	}
	return whole, sig, nil
}

const maxSignatureInput = 64 << 10

// refusalOfParse tells a hash the library does not know, such as MD5, from other reasons.
func refusalOfParse(body []byte, err error) Refusal {
	if len(body) > 3 && (body[3] == 1 || body[3] == 3) { // MD5, RIPEMD-160
		return RefusedHash
	}
	if errors.Is(classify(err), Unsupported) {
		return RefusedUnsupported
	}
	return RefusedDamaged
}

func signatureBlock(b []byte) ([]byte, error) {
	in := Inspect(b)
	switch in.Shape {
	case ShapePrivateKey:
		return nil, RefusedPrivateKey
	case ShapeClearSigned:
		return nil, RefusedClearSigned
	case ShapeMessage, ShapeNotEncrypted, ShapeMixed:
		return nil, RefusedMessage
	case ShapePublicKey:
		return nil, RefusedPublicKey
	case ShapeBroken:
		return nil, RefusedDamaged
	case ShapeText:
		return nil, RefusedNoSignature
	}
	scan := blockScanner{text: inMemory(b), signedLeft: 1}
	first, ok := scan.next(0)
	if !ok {
		return nil, RefusedNoSignature
	}
	if _, more := scan.next(first.end); more {
		return nil, RefusedSeveral
	}
	return first.body, nil
}
