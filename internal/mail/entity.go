package mail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Part is one attached file.
type Part struct {
	Name        string // [A-Za-z0-9][A-Za-z0-9._-]*, at most 100, each name once
	Type        string // "type/subtype" without parameters; empty: application/octet-stream
	Bytes       []byte // carried exactly, whatever they are
	Description string // one line for people; may be empty
}

// FrozenMessage is what a release says to one audience, before anybody has signed it.
type FrozenMessage struct {
	From    string // a user id of the certificate that will sign
	Subject string // the real one
	Text    string // LF or CRLF; neither wrapped nor trimmed

	// Public says that it will never be encrypted: nothing is hidden outside,
	// and what is signed of it says hp="clear".
	Public bool

	// Attachments are the patches, in the order in which they apply.
	Attachments []Part

	// Notice is notice.json, the same facts for machines; empty: none.
	Notice []byte

	// Boundary makes the MIME boundary. Nil: from the content, so that the same message
	// freezes to the same bytes.
	Boundary func() string
}

// Freeze returns the bytes that are signed, the same for every recipient: one MIME entity with
// CRLF, 7 bit, no trailing blanks, and RFC 9788 header protection (with the older
// protected-headers="v1", without which notmuch 0.37 does not show the subject). It holds no To,
// Date, Message-ID, link, mark or count. Attachments are base64, because a context line of a
// patch is a trailing blank, and only so every reader takes out the very bytes.
func Freeze(m FrozenMessage) ([]byte, error) {
	parts := m.Attachments
	if len(m.Notice) > 0 {
		parts = append(parts[:len(parts):len(parts)], Part{Name: "notice.json", Type: "application/json", Bytes: m.Notice})
	}
	from, err := ParseAddress(m.From)
	if err != nil {
		return nil, fmt.Errorf("freeze: From: %w", err)
	}
	if m.Subject == "" {
		return nil, errors.New("freeze: no Subject")
	}
	var f fields
	f.raw("From", from.String())
	f.text("Subject", m.Subject)
	protection := "clear"
	if !m.Public {
		protection = "cipher"
		f.raw("HP-Outer", "From: "+from.String())
		f.raw("HP-Outer", "Subject: "+HiddenSubject)
	}
	e := entity{head: &f, protection: protection, text: m.Text, parts: parts, mixed: true, boundary: m.Boundary}
	frozen, err := e.bytes()
	if err != nil {
		return nil, fmt.Errorf("freeze: %w", err)
	}
	return frozen, nil
}

// SignedEntity returns the entity of a public announcement, to be given to WriteSigned with the
// same Outer: text, attachments and a protected copy of From, To, Subject, Date and Message-ID.
func SignedEntity(o Outer, text string, attachments []Part) ([]byte, error) {
	f, err := o.protectedFields(o.subject())
	if err != nil {
		return nil, err
	}
	e := entity{head: f, protection: "clear", text: text, parts: attachments}
	return e.bytes()
}

// protectedFields is the copy of o's fields that goes inside (RFC 9788 §5.2).
func (o Outer) protectedFields(subject string) (*fields, error) {
	if err := o.header(new(fields)); err != nil {
		return nil, err
	}
	from, _ := ParseAddress(o.From)
	to, _ := ParseAddress(o.To)
	f := new(fields)
	f.raw("From", from.String())
	f.raw("To", to.String())
	f.text("Subject", subject)
	f.raw("Date", formatDate(o.Date))
	f.raw("Message-ID", o.MessageID)
	return f, f.err
}

// entity is a MIME entity in the making.
type entity struct {
	head       *fields // its own fields, without Content-*
	protection string  // the hp parameter of its root: "clear", "cipher" or none
	text       string
	parts      []Part
	mixed      bool // a multipart/mixed even with nothing attached
	boundary   func() string
}

var (
	partName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	mediaType = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}$`)
)

func (e entity) bytes() ([]byte, error) {
	text, encoding, err := encodeBody(e.text)
	if err != nil {
		return nil, err
	}
	params := ""
	if e.protection != "" {
		params = `; hp="` + e.protection + `"; protected-headers="v1"`
	}
	f := e.head
	f.raw("MIME-Version", "1.0")
	if len(e.parts) == 0 && !e.mixed {
		f.raw("Content-Type", "text/plain; charset=utf-8"+params)
		f.raw("Content-Transfer-Encoding", encoding)
		f.b.WriteString("\r\n")
		f.b.Write(text)
		return f.b.Bytes(), f.err
	}
	boundary, err := e.chooseBoundary(text)
	if err != nil {
		return nil, err
	}
	f.raw("Content-Type", `multipart/mixed; boundary="`+boundary+`"`+params)
	f.b.WriteString("\r\n--" + boundary + "\r\n")
	f.raw("Content-Type", "text/plain; charset=utf-8")
	f.raw("Content-Transfer-Encoding", encoding)
	f.b.WriteString("\r\n")
	f.b.Write(text)
	names := map[string]bool{}
	for _, p := range e.parts {
		if names[strings.ToLower(p.Name)] {
			return nil, fmt.Errorf("two attachments are named %q", p.Name)
		}
		names[strings.ToLower(p.Name)] = true
		f.b.WriteString("\r\n--" + boundary + "\r\n")
		if err := p.write(f); err != nil {
			return nil, err
		}
	}
	f.b.WriteString("\r\n--" + boundary + "--\r\n")
	return f.b.Bytes(), f.err
}

func (e entity) chooseBoundary(text []byte) (string, error) {
	var boundary string
	if e.boundary != nil {
		boundary = e.boundary()
	} else {
		content := [][]byte{e.head.b.Bytes(), text}
		for _, p := range e.parts {
			content = append(content, []byte(p.Name), []byte(p.Type), []byte(p.Description), p.Bytes)
		}
		boundary = contentBoundary(content...)
	}
	if len(boundary) < 16 || len(boundary) > 70 || !boundaryPat.MatchString(boundary) {
		return "", errors.New("malformed MIME boundary")
	}
	if bytes.Contains(text, []byte(boundary)) {
		return "", errors.New("the text contains the MIME boundary")
	}
	return boundary, nil
}

var boundaryPat = regexp.MustCompile(`^=_[A-Za-z0-9]+$`)

func (p Part) write(f *fields) error {
	if !partName.MatchString(p.Name) {
		return fmt.Errorf("attachment name %q: only letters, digits, dot, dash and underline, at most 100", p.Name)
	}
	typ := p.Type
	if typ == "" {
		typ = "application/octet-stream"
	}
	if !mediaType.MatchString(typ) || strings.HasPrefix(typ, "multipart/") || strings.HasPrefix(typ, "message/") {
		return fmt.Errorf("attachment %s: type %q cannot be attached", p.Name, p.Type)
	}
	if strings.HasPrefix(typ, "text/") && utf8.Valid(p.Bytes) {
		typ += "; charset=utf-8"
	}
	f.raw("Content-Type", typ+`; name="`+p.Name+`"`)
	f.raw("Content-Disposition", `attachment; filename="`+p.Name+`"`)
	if p.Description != "" {
		f.text("Content-Description", p.Description)
	}
	f.raw("Content-Transfer-Encoding", "base64")
	f.b.WriteString("\r\n")
	writeBase64(&f.b, p.Bytes)
	return f.err
}

// writeBase64 writes lines of 76 characters, each ended.
func writeBase64(w *bytes.Buffer, b []byte) {
	const row = 57
	w.Grow(len(b)/row*78 + 80)
	var line [78]byte
	for len(b) > 0 {
		n := min(row, len(b))
		size := base64.StdEncoding.EncodedLen(n)
		base64.StdEncoding.Encode(line[:], b[:n])
		line[size], line[size+1] = '\r', '\n'
		w.Write(line[:size+2])
		b = b[n:]
	}
}

// encodeBody returns text with CRLF and its transfer encoding: 7bit where it survives every
// relay as it is, else quoted-printable, which is never re-wrapped for the reader.
func encodeBody(text string) (body []byte, encoding string, err error) {
	if !utf8.ValidString(text) {
		return nil, "", errors.New("text is not UTF-8")
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return nil, "", fmt.Errorf("control character %#02x in a text", c)
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if survives(text) {
		return []byte(strings.ReplaceAll(text, "\n", "\r\n")), "7bit", nil
	}
	return quotedPrintable(text), "quoted-printable", nil
}

// survives reports whether text may travel as 7bit under a signature (RFC 3156 §3).
func survives(text string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > maxLine || strings.HasPrefix(line, "From ") || strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
			return false
		}
		for i := 0; i < len(line); i++ {
			if line[i] >= 0x80 {
				return false
			}
		}
	}
	return true
}

// quotedPrintable encodes text whose lines end in LF (RFC 2045 §6.7). Unlike the library's it
// also guards a "From " at the start of a line, which mailbox files change.
func quotedPrintable(text string) []byte {
	const hexDigits = "0123456789ABCDEF"
	var out bytes.Buffer
	out.Grow(len(text) + len(text)/8)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		column := 0
		for i := 0; i < len(line); i++ {
			c := line[i]
			literal := c > ' ' && c <= '~' && c != '=' || (c == ' ' || c == '\t') && i < len(line)-1
			if column+3 > 75 {
				out.WriteString("=\r\n")
				column = 0
			}
			if column == 0 && strings.HasPrefix(line[i:], "From ") {
				literal = false
			}
			if literal {
				out.WriteByte(c)
				column++
				continue
			}
			out.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
			column += 3
		}
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

// checkSignable reports why entity would not survive as the signed part of a message.
func checkSignable(entity []byte) error {
	if !bytes.Contains(entity, []byte("\r\n\r\n")) {
		return errors.New("signed entity has no header")
	}
	rest := entity
	for len(rest) > 0 {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
			if len(line) == 0 || line[len(line)-1] != '\r' {
				return errors.New("signed entity has a line not ended by CRLF")
			}
			line = line[:len(line)-1]
		} else {
			rest = nil
		}
		if len(line) > maxLine {
			return errors.New("signed entity has a line over 998 octets")
		}
		if n := len(line); n > 0 && (line[n-1] == ' ' || line[n-1] == '\t') {
			return errors.New("signed entity has a trailing blank")
		}
		for _, c := range line {
			if c >= 0x80 || c == '\r' || c == 0 {
				return errors.New("signed entity is not 7 bit text")
			}
		}
	}
	return nil
}
