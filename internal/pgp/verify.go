package pgp

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	openpgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// verdict is what one signature is worth.
type verdict struct {
	signature   Signature
	problem     SignatureProblem
	fingerprint string
	keyID       uint64
	label       string
	at          time.Time
	notes       []Note
}

// rank orders verdicts, best first, where a message has several signatures.
func (v verdict) rank() int {
	switch v.signature {
	case SignatureValidKnown:
		return 0
	case SignatureValidUnknown:
		return 1
	case SignatureInvalid:
		return 2
	}
	return 3
}

func (j *Judgment) apply(v verdict) {
	j.Signature, j.Problem, j.SignerFingerprint, j.SignerKeyID = v.signature, v.problem, v.fingerprint, v.keyID
	j.SignerLabel, j.SignedAt = v.label, v.at
	for _, n := range v.notes {
		j.note(n)
	}
}

// judgeSignature checks sig against the certificates known for its issuer. h
// holds the hash of the content and is used up. A signature is
// valid only where a key was found, matched, and was good when it signed: go-crypto's
// own IsVerified says no more than that the end of the message was reached.
func judgeSignature(sig *packet.Signature, h hash.Hash, known func(uint64) []Known, now time.Time) verdict {
	v := verdict{signature: SignatureUnverifiable, problem: SignatureBroken, at: sig.CreationTime}
	if sig.IssuerKeyId == nil {
		return v
	}
	v.keyID = *sig.IssuerKeyId
	if sig.IssuerFingerprint != nil {
		v.fingerprint = fmt.Sprintf("%X", sig.IssuerFingerprint)
	}
	v.problem = SignerNotFound
	if known == nil {
		return v
	}
	best, tried := v, false
	for _, k := range known(v.keyID) {
		if k.Certificate == nil || !containsID(k.Certificate.keyIDs, v.keyID) {
			continue
		}
		got, ok := judgeBy(k, sig, cloneHash(h), v, now)
		if ok && (!tried || got.rank() < best.rank()) {
			best, tried = got, true
		}
	}
	return best
}

// cloneHash gives a copy, because a verification uses its hash up.
func cloneHash(h hash.Hash) hash.Hash {
	if c, ok := h.(hash.Cloner); ok {
		if x, err := c.Clone(); err == nil {
			return x
		}
	}
	return h
}

func judgeBy(k Known, sig *packet.Signature, h hash.Hash, v verdict, now time.Time) (verdict, bool) {
	c := k.Certificate
	e, err := c.entity()
	if err != nil {
		return v, false
	}
	pub := publicKey(e, sig)
	if pub == nil {
		return v, false
	}
	v.fingerprint, v.label = c.fingerprint, k.Label
	v.signature = SignatureInvalid
	if pub.VerifySignature(h, sig) != nil {
		v.problem = SignatureMismatch
		return v, true
	}
	if v.problem = detailProblem(sig, pub, now); v.problem != "" {
		return v, true
	}
	switch c.signerProblem(sig, sig.CreationTime) {
	case "":
	case ProblemRevoked:
		v.problem = SignerRevoked
	case ProblemExpired:
		v.problem = SignerExpired
	case ProblemNotYetValid:
		v.problem = SignerNotYetValid
	case ProblemWeakKey, ProblemWeakAlgorithm, ProblemWeakHash:
		v.problem = SignerWeak
	default:
		v.problem = SignerUnfit
	}
	if v.problem != "" {
		return v, true
	}
	v.signature = SignatureValidUnknown
	if k.Label != "" {
		v.signature = SignatureValidKnown
	}
	switch c.signerProblem(sig, now) {
	case ProblemRevoked:
		v.notes = append(v.notes, NoteSignerRevoked)
	case ProblemExpired:
		v.notes = append(v.notes, NoteSignerExpired)
	}
	return v, true
}

// publicKey finds the key that sig names, by fingerprint where it gives one.
func publicKey(e *openpgp.Entity, sig *packet.Signature) *packet.PublicKey {
	if sig.CheckKeyIdOrFingerprint(e.PrimaryKey) {
		return e.PrimaryKey
	}
	for i := range e.Subkeys {
		if sig.CheckKeyIdOrFingerprint(e.Subkeys[i].PublicKey) {
			return e.Subkeys[i].PublicKey
		}
	}
	return nil
}

// detailProblem judges the signature by itself and against its key's date.
func detailProblem(sig *packet.Signature, pub *packet.PublicKey, now time.Time) SignatureProblem {
	for _, n := range sig.Notations {
		if n.IsCritical {
			return SignatureBroken
		}
	}
	switch {
	case sig.Hash == crypto.SHA1 || sig.Hash == crypto.MD5 || sig.Hash == crypto.RIPEMD160:
		return SignatureWeak
	case sig.CreationTime.After(now.Add(clockSkew)):
		return SignatureFuture
	case sig.SigLifetimeSecs != nil && *sig.SigLifetimeSecs != 0 &&
		now.After(sig.CreationTime.Add(time.Duration(*sig.SigLifetimeSecs)*time.Second)):
		return SignatureExpired
	case sig.CreationTime.Unix() < pub.CreationTime.Unix():
		return SignerNotYetValid
	}
	return ""
}

// signerProblem says what is wrong at a time with the key that sig names; ""
// is nothing. Where every binding is newer than that time, because the
// certificate was renewed and its old bindings dropped, the newest one counts.
func (c *Certificate) signerProblem(sig *packet.Signature, at time.Time) Problem {
	e, err := c.entity()
	if err != nil {
		return ProblemUnsupported
	}
	if p, _ := c.primaryProblem(e, at); p == ProblemNotYetValid && !e.PrimaryKey.CreationTime.After(at) {
		if e, err = c.entity(); err != nil {
			return ProblemUnsupported
		}
		if e.Revoked(at) {
			return ProblemRevoked
		}
	} else if p != "" {
		return p
	}
	if sig.CheckKeyIdOrFingerprint(e.PrimaryKey) {
		self, err := e.PrimarySelfSignature(time.Time{}, strict())
		if err != nil {
			return ProblemInvalid
		}
		if self.FlagsValid && !self.FlagSign {
			return ProblemCannotSign
		}
		return ""
	}
	for i := range e.Subkeys {
		if !sig.CheckKeyIdOrFingerprint(e.Subkeys[i].PublicKey) {
			continue
		}
		p, _, capable := subkeyProblem(c, i, at, forSigning)
		switch {
		case !capable:
			return ProblemCannotSign
		case p == ProblemNotYetValid && !e.Subkeys[i].PublicKey.CreationTime.After(at):
			return ""
		}
		return p
	}
	return ProblemInvalid
}

// VerifyDetached judges a detached signature, armored or binary, over data
// exactly as given (RFC 3156 §5: the caller gives the part with CRLF line ends).
// Encryption is EncryptedNone. The only errors are those of reading data; what is
// wrong with the signature is in the Judgment.
func VerifyDetached(data io.Reader, signature []byte, known func(uint64) []Known, now time.Time) (j Judgment, err error) {
	defer func() {
		if recover() != nil {
			err = nil
			j.apply(verdict{signature: SignatureUnverifiable, problem: SignatureBroken})
		}
	}()
	j = Judgment{Encryption: EncryptedNone, Integrity: IntegrityWhole}
	sigs := readSignatures(signature)
	hashes := make([]sigHash, len(sigs))
	var sinks []io.Writer
	for i, sig := range sigs {
		if hashes[i], err = hashFor(sig); err == nil {
			sinks = append(sinks, hashes[i].in)
		}
	}
	if j.Size, err = io.Copy(io.MultiWriter(sinks...), data); err != nil {
		return j, fmt.Errorf("read signed data: %w", err)
	}
	best := verdict{signature: SignatureUnverifiable, problem: SignatureBroken}
	for i, sig := range sigs {
		if hashes[i].sum == nil {
			continue
		}
		if v := judgeSignature(sig, hashes[i].sum, known, now); i == 0 || v.rank() < best.rank() {
			best = v
		}
	}
	j.apply(best)
	if len(sigs) > 1 {
		j.note(NoteSeveralSigned)
	}
	return j, nil
}

// readSignatures reads the signature packets of a detached signature, at most
// DefaultLimits.Signatures. What cannot be read is left out.
func readSignatures(b []byte) []*packet.Signature {
	if !isBinary(b) {
		scan := blockScanner{text: inMemory(b), signedLeft: 1}
		block, ok := scan.next(0)
		// Some programs call the armor of a detached signature a message.
		if !ok || block.shape != ShapeSignature && block.shape != ShapeNotEncrypted {
			return nil
		}
		b = block.body
	}
	var list []*packet.Signature
	for len(b) > 0 && len(list) < DefaultLimits.Signatures {
		h, _, whole, rest, err := splitPacket(b)
		if err != nil {
			break
		}
		if h.tag == tagSignature {
			if sig, err := parseSignature(whole); err == nil && (sig.SigType == packet.SigTypeBinary || sig.SigType == packet.SigTypeText) {
				list = append(list, sig)
			}
		}
		b = rest
	}
	return list
}

// sigHash takes the content in one end and gives the hash at the other; they
// differ where line ends are made canonical.
type sigHash struct {
	in  hash.Hash
	sum hash.Hash
}

func hashFor(sig *packet.Signature) (sigHash, error) {
	h, err := sig.PrepareVerify()
	if err != nil {
		return sigHash{}, err
	}
	return wrapHash(h, sig.SigType)
}

func wrapHash(h hash.Hash, t packet.SignatureType) (sigHash, error) {
	switch t {
	case packet.SigTypeBinary:
		return sigHash{h, h}, nil
	case packet.SigTypeText:
		return sigHash{openpgp.NewCanonicalTextHash(h), h}, nil
	}
	return sigHash{}, openpgperrors.UnsupportedError("signature type")
}

var errNotClearSigned = errors.New("no clear-signed text")

// OpenClearSigned gives the text inside the signed region of a cleartext
// signature (RFC 9580 §7), dashes unescaped, line ends as they came, and what
// is known of its signature. Text outside the region is not in the result: it makes
// Integrity "part". The error is an *OpenError.
func OpenClearSigned(text []byte, known func(uint64) []Known, now time.Time) (inside []byte, j Judgment, err error) {
	defer func() {
		if recover() != nil {
			inside, err = nil, fail(Unsupported, nil)
		}
	}()
	j = Judgment{Encryption: EncryptedNone, Integrity: IntegrityWhole, Signature: SignatureNone}
	if int64(len(text)) > DefaultLimits.Input {
		return nil, j, fail(TooLarge, nil)
	}
	start := -1
	var clear *armorBlock
	scan := blockScanner{text: inMemory(text), signedLeft: 16}
	for at := 0; at < len(text); {
		b, ok := scan.next(at)
		if !ok {
			break
		}
		if b.kind == armorSigned {
			clear, start = b, b.start
			break
		}
		at = b.end
	}
	switch {
	case clear == nil:
		return nil, j, fail(Malformed, errNotClearSigned)
	case clear.shape == ShapeBroken:
		return nil, j, fail(Damaged, errArmorCut)
	}
	if !blank(text[:start]) || !blank(text[clear.end:]) {
		j.Integrity = IntegrityPart
		j.note(NoteOutside)
	}
	lines, hashes, signature, err := splitClearSigned(text[start:clear.end])
	if err != nil {
		return nil, j, err
	}
	signed := make([][]byte, len(lines))
	for i, line := range lines {
		signed[i] = bytes.TrimRight(line, " \t\r")
	}
	notes, integrity := j.Notes, j.Integrity
	if j, err = VerifyDetached(bytes.NewReader(bytes.Join(signed, []byte("\r\n"))), signature, known, now); err != nil {
		return nil, j, fail(Damaged, err)
	}
	j.Integrity, j.Notes = integrity, append(notes, j.Notes...)
	for _, sig := range readSignatures(signature) {
		if sig.SigType != packet.SigTypeText {
			j.apply(verdict{signature: SignatureInvalid, problem: SignatureBroken, fingerprint: j.SignerFingerprint, keyID: j.SignerKeyID, at: j.SignedAt})
		}
		if len(hashes) > 0 && !strings.Contains(strings.Join(hashes, ","), hashHeader(sig.Hash)) {
			j.note(NoteHashHeader)
			if j.Signature == SignatureValidKnown || j.Signature == SignatureValidUnknown {
				j.Signature, j.Problem = SignatureInvalid, SignatureBroken
			}
		}
	}
	inside = bytes.Join(lines, []byte("\n"))
	if len(lines) > 0 {
		inside = append(inside, '\n')
	}
	j.Size = int64(len(inside))
	return inside, j, nil
}

// splitClearSigned takes a clear-signed block apart: its lines unescaped, the
// values of its Hash headers, and its signature's armor.
func splitClearSigned(b []byte) (lines [][]byte, hashes []string, signature []byte, err error) {
	_, at := lineAt(b, 0) // the BEGIN line
	for at < len(b) {
		line, next := lineAt(b, at)
		at = next
		line = bytes.TrimRight(line, " \t\r")
		if len(line) == 0 {
			break
		}
		name, value, ok := strings.Cut(string(line), ":")
		switch {
		case !ok, name != "Hash" && name != "Charset" && name != "Version" && name != "Comment" && name != "NotDashEscaped":
			// Anything else above the blank line could be mistaken for signed text.
			return nil, nil, nil, fail(Malformed, errors.New("text among the headers of a clear-signed text"))
		case name == "Hash":
			for _, h := range strings.Split(value, ",") {
				hashes = append(hashes, strings.ToUpper(strings.TrimSpace(h)))
			}
		}
	}
	for at < len(b) {
		line, next := lineAt(b, at)
		if bytes.HasPrefix(line, []byte("-----BEGIN PGP SIGNATURE-----")) {
			return lines, hashes, b[at:], nil
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		line = bytes.TrimPrefix(line, []byte("- "))
		lines = append(lines, line)
		at = next
	}
	return nil, nil, nil, fail(Damaged, errArmorCut)
}
