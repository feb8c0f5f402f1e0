package gate

import (
	"strings"

	"postern/internal/disclosure"
	"postern/internal/pgp"
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
	found := pgp.Inspect(text)
	switch found.Shape {
	case pgp.ShapePrivateKey:
		return judged{secret: true, fault: "This holds a private key. " + secretText}
	case pgp.ShapePublicKey:
		return judged{fault: "This is a public key, not a report. Describe what you found here, and put your key into the field for it under “More, if you have it”."}
	case pgp.ShapeBroken:
		why := found.Why
		if why == "" {
			why = "This begins like an encrypted message, but it is cut off or damaged."
		}
		return judged{fault: why + " Copy the whole message again, from the BEGIN line to the END line, or write in plain words."}
	case pgp.ShapeMessage:
		return s.judgeMessage(found)
	}
	return judged{kind: disclosure.PartText}
}

func (s *set) judgeMessage(found pgp.Inspection) judged {
	to := pgp.Addressed(strings.NewReader(string(found.Block)), s.ours)
	if to.To == pgp.ToOthers {
		fault := "This message is encrypted to somebody else, so we could not read it. Encrypt it to our key"
		if s.cert != nil {
			fault += " (" + s.cert.FingerprintGroups() + ")"
		}
		return judged{fault: fault + ", or write in plain words."}
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
func ownKey(text string) ([]byte, string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, ""
	}
	if pgp.Inspect([]byte(text)).Shape == pgp.ShapePrivateKey {
		return nil, "This holds a private key. Keep it to yourself, and paste the public one."
	}
	certs, err := pgp.ParseCertificates([]byte(text))
	if err != nil {
		return nil, "This is not a public key we can read: " + strings.TrimSuffix(err.Error(), ".") + ". Leave the field empty, or export the key again."
	}
	return certs[0].Binary(), ""
}

// holdsSecret says whether a private key stands anywhere in a text.
func holdsSecret(text string) bool {
	return pgp.Inspect([]byte(text)).Shape == pgp.ShapePrivateKey
}

// cutOff is said of a long message whose end is not there.
const cutOff = "This begins like an encrypted message, but it is cut off. Send the whole of it, from the BEGIN line to the END line."

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
	to := pgp.Addressed(strings.NewReader(string(head)), s.ours)
	if to.To == pgp.ToOthers {
		return judged{fault: "Your browser encrypted this to a key that is not ours any more. Load the page again and send it once more."}
	}
	j := judged{kind: disclosure.PartOpenPGP}
	if len(to.Ours) > 0 {
		j.toKey = keyID(to.Ours[0])
		j.retired = s.retired[to.Ours[0]]
	}
	return j
}
