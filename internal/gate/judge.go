package gate

import (
	"bytes"
	"strings"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/web/ui"
)

// judged is what a pasted or posted text turned out to be.
type judged struct {
	kind    disclosure.PartKind // how it is taken; empty: refused
	toKey   string
	retired bool
	fault   string // why it is refused, and what to do
	secret  bool   // a private key: refused, sealed, and never shown again
}

// judge tells from the outside what a text is. Only one whole armored message
// counts as encrypted; whom it is for is read from packet headers alone.
func (s *set) judge(text []byte) judged {
	found, t := pgp.Inspect(text), s.says()
	switch found.Shape {
	case pgp.ShapePrivateKey:
		return judged{secret: true, fault: t.Secret + " " + t.SecretHow}
	case pgp.ShapePublicKey:
		return judged{fault: t.PublicKey}
	case pgp.ShapeBroken:
		why := found.Why
		if why == "" {
			why = t.Broken
		}
		return judged{fault: why + " " + t.BrokenHow}
	case pgp.ShapeMessage:
		return s.judgeMessage(found)
	}
	return judged{kind: disclosure.PartText}
}

func (s *set) judgeMessage(found pgp.Inspection) judged {
	to := pgp.Addressed(bytes.NewReader(found.Block), s.ours)
	if to.To == pgp.ToOthers {
		if s.cert == nil {
			return judged{fault: s.says().Others}
		}
		return judged{fault: ui.Say(s.says().OthersKey, s.cert.FingerprintGroups())}
	}
	j := judged{kind: disclosure.PartOpenPGP}
	if len(to.Ours) > 0 {
		j.toKey = keyID(to.Ours[0])
		j.retired = true
		for _, id := range to.Ours {
			j.retired = j.retired && s.retired[id]
		}
	}
	return j
}

func keyID(id uint64) string {
	const digits = "0123456789ABCDEF"
	var b [16]byte
	for i := range b {
		b[i] = digits[id>>(60-4*i)&15]
	}
	return string(b[:])
}

// protection is what the receipt may truly say: what was seen from the outside.
func (j judged) protection() disclosure.Protection {
	p := disclosure.Protection{Encryption: disclosure.OnArrival, Signature: disclosure.Unsigned, Integrity: disclosure.Whole}
	if j.kind == disclosure.PartOpenPGP {
		p.Encryption = disclosure.Unopened
		if j.toKey != "" {
			p.Encryption = disclosure.ToCurrentKey
		}
		if j.retired {
			p.Encryption = disclosure.ToRetiredKey
		}
	}
	return p
}

// ownKey reads the certificate a reporter wants answers encrypted to.
func (s *set) ownKey(text string) ([]byte, string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, ""
	}
	if pgp.Inspect([]byte(text)).Shape == pgp.ShapePrivateKey {
		return nil, s.says().OwnSecret
	}
	certs, err := pgp.ParseCertificates([]byte(text))
	if err != nil {
		return nil, ui.Say(s.says().OwnUnread, strings.TrimSuffix(err.Error(), "."))
	}
	return certs[0].Binary(), ""
}

// holdsSecret says whether a private key stands anywhere in a text.
func holdsSecret(text string) bool {
	return pgp.Inspect([]byte(text)).Shape == pgp.ShapePrivateKey
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-tailSize):]...)
	t.b = t.b[max(0, len(t.b)-tailSize):]
	return len(p), nil
}

// whole says whether an armored message ended before the writing did.
func (t *tail) whole() bool {
	return strings.HasSuffix(strings.TrimRight(string(t.b), " \t\r\n"), "-----END PGP MESSAGE-----")
}

// normalize makes typed text UTF-8 with LF, as its digest is made over.
func normalize(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// fieldFault is a fault at a field of the report form.
func fieldFault(field, text string) disclosure.Fault {
	return disclosure.Fault{Field: field, Text: text}
}

// judgeHead tells whom a message that streamed in is for; whether it is whole
// shows when it is opened.
func (s *set) judgeHead(head []byte) judged {
	to := pgp.Addressed(bytes.NewReader(head), s.ours)
	if to.To == pgp.ToOthers {
		return judged{fault: s.says().OldKey}
	}
	j := judged{kind: disclosure.PartOpenPGP}
	if len(to.Ours) > 0 {
		j.toKey = keyID(to.Ours[0])
		j.retired = s.retired[to.Ours[0]]
	}
	return j
}
