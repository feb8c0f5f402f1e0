package mail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/internal/pgp"
)

// Notice is a frozen notice, signed and made ready once, to be written to each of its readers.
// What they find after opening it is the frozen entity, byte for byte. It is immutable and safe for
// concurrent use. A preview and a delivery are both written by it.
type Notice struct {
	frozen   []byte
	from     string
	subject  string
	prepared *pgp.Prepared
	signer   *pgp.Secret // nil: nobody of ours signs
}

// PrepareNotice makes frozen, as Freeze returned it, ready. It is signed by signer, or carries the
// signature packet that somebody else made over it (checked by pgp.CheckReleaserSignature before);
// with neither it is not signed.
func PrepareNotice(frozen, signature []byte, signer *pgp.Secret, now time.Time) (*Notice, error) {
	n := &Notice{frozen: frozen, signer: signer}
	h := ReadHeader(frozen)
	n.from, n.subject = h.From, h.Subject
	if n.from == "" || n.subject == "" {
		return nil, errors.New("prepare notice: the frozen text has no From or no Subject")
	}
	var err error
	switch {
	case len(signature) > 0:
		n.signer = nil
		n.prepared, err = pgp.PrepareWithSignature(frozen, signature)
	case signer != nil:
		var signature []byte
		if signature, _, err = pgp.DetachSign(frozen, signer, now); err == nil {
			n.prepared, err = pgp.PrepareWithSignature(frozen, signature)
		}
	default:
		n.prepared, err = pgp.PrepareUnsigned(frozen)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare notice: %w", err)
	}
	return n, nil
}

// From is the address in the frozen entity, which the outer one has to repeat (RFC 9788 §2.2).
func (n *Notice) From() string { return n.from }

// Subject is the real one.
func (n *Notice) Subject() string { return n.subject }

// WriteEncrypted writes the notice for one reader, encrypted to each of the certificates. o.From is
// set to the notice's own, and the subject is hidden. A certificate that cannot be encrypted to
// gives its *pgp.KeyError before a byte is written to w.
func (n *Notice) WriteEncrypted(w io.Writer, o Outer, to []*pgp.Certificate, now time.Time) error {
	if len(to) == 0 {
		return pgp.ErrNoRecipient
	}
	for _, c := range to {
		if err := c.CanEncrypt(now); err != nil {
			return err
		}
	}
	o.From, o.Subject = n.from, ""
	return WriteEncrypted(w, o, func(w io.Writer) error { return n.prepared.Encrypt(w, to, now) })
}

// WriteClear writes the notice for a reader who accepted to be written to in clear: the caller has
// decided that. Its body is the frozen one, byte for byte. It is signed where the team signs, and
// says so with hp="clear" (RFC 9788 §2.1.1: "cipher" is for what is encrypted), which is why the
// signature over the frozen entity cannot be the one; a releaser's is left out.
func (n *Notice) WriteClear(w io.Writer, o Outer) error {
	return WriteAnnouncement(w, o, n.frozen, n.signer, o.Date)
}

// PublicEntity is the content of a frozen announcement as the signed part of a public mail: its body
// is the very bytes that were frozen and approved, under o's fields (RFC 9788 §5.2) instead of the
// frozen ones. Give it to WriteSigned with the same o; the subject has to be o's.
func PublicEntity(o Outer, frozen []byte) ([]byte, error) {
	if err := checkSignable(frozen); err != nil {
		return nil, fmt.Errorf("take over an announcement: %w", err)
	}
	f, err := o.protectedFields(o.subject())
	if err != nil {
		return nil, fmt.Errorf("take over an announcement: %w", err)
	}
	head, body, _ := bytes.Cut(frozen, []byte("\r\n\r\n"))
	f.raw("MIME-Version", "1.0")
	for _, field := range parseHeader(append(bytes.Clone(head), "\r\n"...)).fields {
		switch field.key {
		case "content-type":
			f.raw("Content-Type", strings.Replace(field.value, `hp="cipher"`, `hp="clear"`, 1))
		case "content-transfer-encoding":
			f.raw("Content-Transfer-Encoding", field.value)
		}
	}
	if f.err != nil {
		return nil, fmt.Errorf("take over an announcement: %w", f.err)
	}
	f.b.WriteString("\r\n")
	f.b.Write(body)
	return f.b.Bytes(), nil
}

// WriteAnnouncement writes a frozen notice to the public, in clear, signed now by signer where there
// is one, so that signature and Date are of one hour. o.From and the subject are the frozen ones.
func WriteAnnouncement(w io.Writer, o Outer, frozen []byte, signer *pgp.Secret, now time.Time) error {
	h := ReadHeader(frozen)
	if h.From == "" || h.Subject == "" {
		return errors.New("write announcement: the frozen text has no From or no Subject")
	}
	o.From, o.Subject = h.From, h.Subject
	if signer == nil {
		return WriteClear(w, o, frozen, nil, "")
	}
	entity, err := PublicEntity(o, frozen)
	if err != nil {
		return err
	}
	return WriteSigned(w, o, entity, func(b []byte) ([]byte, string, error) { return pgp.DetachSign(b, signer, now) })
}
