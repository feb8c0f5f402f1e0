package mail

import (
	"bufio"
	"strings"

	"postern/internal/pgp"
)

// signed judges multipart/signed: the signature covers the octets of its first part, and nothing
// else.
func (r *reader) signed(parts []Content, params map[string]string, at place) {
	openpgp := strings.EqualFold(params["protocol"], "application/pgp-signature")
	var signature Content
	if len(parts) >= 2 {
		var typ string
		typ, signature = r.peek(parts[1])
		openpgp = openpgp || typ == "application/pgp-signature"
	}
	if len(parts) < 2 || !openpgp {
		if strings.Contains(strings.ToLower(params["protocol"]), "pkcs7") {
			r.m.problem(at.path, ProblemSMIME, "")
		} else {
			r.m.problem(at.path, ProblemSignatureForm, "")
		}
		r.children(parts, at)
		return
	}
	if len(parts) > 2 {
		r.m.problem(at.path, ProblemSignatureForm, "")
	}
	inside := at.in("1")
	judgment := r.verify(parts[0], signature.head(maxSignature), at)
	inside.prot = r.merge(at.prot, judgment)
	inside.covered = at.covered || good(judgment)
	inside.root = at.root && len(parts) == 2
	r.entity(parts[0], inside)
	r.parts++
	r.add(Piece{Kind: KindSignature, Type: "application/pgp-signature", Content: signature}, at.child(2))
	for i, p := range parts[2:] {
		r.entity(p, at.child(i+3))
	}
}

// maxSignature bounds what is read of a detached signature.
const maxSignature = 64 << 10

func (r *reader) verify(data Content, signature []byte, at place) pgp.Judgment {
	failed := bare()
	failed.Signature, failed.Problem = pgp.SignatureUnverifiable, pgp.SignatureBroken
	if r.opens >= r.limits.Opens {
		r.m.problem(at.path, ProblemOpens, "")
		return failed
	}
	r.opens++
	canonical := &crlfReader{in: bufio.NewReaderSize(data.section(), 32<<10)}
	judgment, err := pgp.VerifyDetached(canonical, signature, r.ring.Known, r.now)
	if canonical.changed {
		r.m.repaired(at.path, RepairLineEnds, "")
	}
	if err != nil {
		return failed
	}
	return judgment
}

func good(j pgp.Judgment) bool {
	return j.Signature == pgp.SignatureValidKnown || j.Signature == pgp.SignatureValidUnknown
}

// merge adds an inner layer's judgment to what covers it already. An invalid signature inside is
// never hidden by a good one around it.
func (r *reader) merge(around, inner pgp.Judgment) pgp.Judgment {
	if around.Signature != pgp.SignatureNone && inner.Signature != pgp.SignatureNone {
		r.m.nested = true
	}
	out := around
	out.Layers += inner.Layers
	out.Size = inner.Size
	out.Notes = append(around.Notes[:len(around.Notes):len(around.Notes)], inner.Notes...)
	if around.Encryption == pgp.EncryptedNone {
		out.Encryption, out.OpenedWith, out.Recipients = inner.Encryption, inner.OpenedWith, inner.Recipients
	}
	if around.Signature == pgp.SignatureNone || inner.Signature == pgp.SignatureInvalid {
		out.TakeSignature(inner)
	}
	if inner.Integrity == pgp.IntegrityPart {
		out.Integrity = pgp.IntegrityPart
	}
	return out
}
