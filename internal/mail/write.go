package mail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Every Write function writes one whole message with CRLF line ends, ready for DATA. On an error
// an unknown part of it may have been written: the caller throws that away.

// WriteEncrypted writes a PGP/MIME message (RFC 3156 §4) around what ciphertext writes, an
// armored OpenPGP message; its line ends may be LF.
func WriteEncrypted(w io.Writer, o Outer, ciphertext func(io.Writer) error) error {
	var f fields
	if err := o.header(&f); err != nil {
		return err
	}
	boundary := randomBoundary()
	f.raw("Content-Type", `multipart/encrypted; protocol="application/pgp-encrypted"; boundary="`+boundary+`"`)
	f.b.WriteString("\r\nThis is an OpenPGP/MIME encrypted message (RFC 3156).\r\n--" + boundary + "\r\n")
	f.raw("Content-Type", "application/pgp-encrypted")
	f.raw("Content-Description", "PGP/MIME version identification")
	f.b.WriteString("\r\nVersion: 1\r\n\r\n--" + boundary + "\r\n")
	f.raw("Content-Type", `application/octet-stream; name="encrypted.asc"`)
	f.raw("Content-Description", "OpenPGP encrypted message")
	f.raw("Content-Disposition", `inline; filename="encrypted.asc"`)
	f.b.WriteString("\r\n")
	if f.err != nil {
		return f.err
	}
	buf := bufio.NewWriterSize(w, 32<<10)
	buf.Write(f.b.Bytes())
	lines := &crlfWriter{w: buf}
	if err := ciphertext(lines); err != nil {
		return fmt.Errorf("write encrypted message: %w", err)
	}
	if err := lines.endLine(); err != nil {
		return fmt.Errorf("write encrypted message: %w", err)
	}
	buf.WriteString("\r\n--" + boundary + "--\r\n")
	return flush(buf)
}

// WriteEncryptedText writes a reply or a mail to a member: text and attachments with RFC 9788
// header protection, the real subject inside and o.Subject (or "[...]") outside. encrypt signs
// and encrypts entity and writes the armored message.
func WriteEncryptedText(w io.Writer, o Outer, realSubject, text string, attachments []Part, encrypt func(entity []byte, w io.Writer) error) error {
	f, err := o.protectedFields(realSubject)
	if err != nil {
		return err
	}
	from, _ := ParseAddress(o.From)
	to, _ := ParseAddress(o.To)
	f.raw("HP-Outer", "From: "+from.String())
	f.raw("HP-Outer", "To: "+to.String())
	outerSubject, err := encodeText(o.subject())
	if err != nil {
		return fmt.Errorf("write Subject: %w", err)
	}
	f.raw("HP-Outer", "Subject: "+outerSubject)
	f.raw("HP-Outer", "Date: "+formatDate(o.Date))
	f.raw("HP-Outer", "Message-ID: "+o.MessageID)
	e := entity{head: f, protection: "cipher", text: text, parts: attachments}
	inside, err := e.bytes()
	if err != nil {
		return fmt.Errorf("write encrypted text: %w", err)
	}
	return WriteEncrypted(w, o, func(w io.Writer) error { return encrypt(inside, w) })
}

// WriteSigned writes a message in clear under a detached signature (RFC 3156 §5). entity is
// what SignedEntity or Freeze returned; sign is given exactly these bytes and returns the
// armored signature and the micalg of its hash, as "pgp-sha512".
func WriteSigned(w io.Writer, o Outer, entity []byte, sign func([]byte) (armored []byte, micalg string, err error)) error {
	if err := checkSignable(entity); err != nil {
		return fmt.Errorf("write signed message: %w", err)
	}
	armored, micalg, err := sign(entity)
	if err != nil {
		return fmt.Errorf("write signed message: %w", err)
	}
	if !micalgPat.MatchString(micalg) {
		return fmt.Errorf("write signed message: micalg %q", micalg)
	}
	var f fields
	if err := o.header(&f); err != nil {
		return err
	}
	boundary := randomBoundary()
	f.raw("Content-Type", `multipart/signed; micalg="`+micalg+`"; protocol="application/pgp-signature"; boundary="`+boundary+`"`)
	f.b.WriteString("\r\nThis is an OpenPGP/MIME signed message (RFC 3156).\r\n--" + boundary + "\r\n")
	f.b.Write(entity)
	f.b.WriteString("\r\n--" + boundary + "\r\n")
	f.raw("Content-Type", `application/pgp-signature; name="signature.asc"`)
	f.raw("Content-Description", "OpenPGP digital signature")
	f.raw("Content-Disposition", `attachment; filename="signature.asc"`)
	f.b.WriteString("\r\n")
	if f.err != nil {
		return f.err
	}
	lines := &crlfWriter{w: &f.b}
	lines.Write(armored)
	lines.endLine()
	f.b.WriteString("\r\n--" + boundary + "--\r\n")
	_, err = w.Write(f.b.Bytes())
	return err
}

var micalgPat = regexp.MustCompile(`^pgp-[a-z0-9]{3,12}(-[0-9]{3})?$`)

// WriteClear writes a frozen entity in clear, for a recipient who is enrolled without a key.
// signature is the armored detached signature over exactly frozen, and micalg its hash; without
// a signature the entity's content stands under o alone. The caller decided that clear text may
// be sent; this function cannot know.
func WriteClear(w io.Writer, o Outer, frozen, signature []byte, micalg string) error {
	if len(signature) > 0 {
		return WriteSigned(w, o, frozen, func([]byte) ([]byte, string, error) { return signature, micalg, nil })
	}
	if err := checkSignable(frozen); err != nil {
		return fmt.Errorf("write clear message: %w", err)
	}
	var f fields
	if err := o.header(&f); err != nil {
		return err
	}
	head, body, _ := bytes.Cut(frozen, []byte("\r\n\r\n"))
	for _, field := range parseHeader(append(bytes.Clone(head), "\r\n"...)).fields {
		value := field.value
		switch field.key {
		case "content-type":
			// Nothing is protected here, so nothing may say it is.
			value = strings.NewReplacer(`; hp="cipher"`, "", `; hp="clear"`, "", `; protected-headers="v1"`, "").Replace(value)
			f.raw("Content-Type", value)
		case "content-transfer-encoding":
			f.raw("Content-Transfer-Encoding", value)
		}
	}
	if f.err != nil {
		return f.err
	}
	f.b.WriteString("\r\n")
	f.b.Write(body)
	_, err := w.Write(f.b.Bytes())
	return err
}

// WriteText writes a plain message: a notification, or an answer that may travel in clear.
func WriteText(w io.Writer, o Outer, text string) error {
	if o.AutoSubmitted == "" {
		o.AutoSubmitted = AutoGenerated
	}
	if o.Subject == "" {
		return errors.New("write text: no Subject")
	}
	body, encoding, err := encodeBody(text)
	if err != nil {
		return fmt.Errorf("write text: %w", err)
	}
	var f fields
	if err := o.header(&f); err != nil {
		return err
	}
	f.raw("Content-Type", "text/plain; charset=utf-8")
	f.raw("Content-Transfer-Encoding", encoding)
	if f.err != nil {
		return f.err
	}
	f.b.WriteString("\r\n")
	f.b.Write(body)
	_, err = w.Write(f.b.Bytes())
	return err
}

func flush(buf *bufio.Writer) error {
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return nil
}
