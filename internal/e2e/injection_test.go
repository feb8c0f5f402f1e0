package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	postern "postern/internal/smtp"
)

// hostileTexts are what a stranger or a careless member may type anywhere.
var hostileTexts = map[string]string{
	"plain":            "The lantern leaks",
	"CRLF and a field": "leak\r\nBcc: evil@evil.example",
	"LF and a field":   "leak\nBcc: evil@evil.example",
	"CR and a field":   "leak\rBcc: evil@evil.example",
	"folded field":     "leak\r\n Bcc: evil@evil.example",
	"end of header":    "leak\r\n\r\nsecond body",
	"end of mail":      "leak\r\n.\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<evil@evil.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n",
	"bare end of mail": "leak\n.\nMAIL FROM:<evil@evil.example>\nRCPT TO:<evil@evil.example>\nDATA\nSubject: smuggled\n\nx\n.\n",
	"half-bare end":    "leak\n.\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<evil@evil.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n",
	"CR dot CR":        "leak\r.\rQUIT\r",
	"NUL":              "leak\x00Bcc: evil@evil.example",
	"997 columns":      strings.Repeat("x", 997),
	"999 columns":      strings.Repeat("x", 999),
	"5000 columns":     strings.Repeat("x", 5000),
	"2000 long words":  strings.Repeat("é", 2000),
	"dots":             ".\n..\n...\n.leading\n",
	"From_":            "From here\n>From there\n",
	"SMTPUTF8":         "jürgen@exämple.example",
	"encoded word":     "=?utf-8?q?x=0D=0ABcc:_evil@evil.example?=",
	"other line ends":  "leak\u2028Bcc: evil@evil.example\u0085Bcc: evil@evil.example\vBcc: x\fBcc: y",
	"bidi":             "leak\u202eBcc: evil@evil.example",
	"trailing blanks":  "leak   \n-- \nend \t\n",
	"boundary":         "\n--=_x\nContent-Type: text/html\n\n<b>\n--=_x--\n",
	"invalid UTF-8":    "leak\xff\xfe",
}

// outgoing is what was meant to leave.
type outgoing struct {
	from, to, subject, text, inReplyTo, file string // from is the name beside our address; file an attachment's
}

func (o outgoing) write(w io.Writer, protected bool) error {
	outer := mail.Outer{From: (&netmail.Address{Name: o.from, Address: "security@lantern.example"}).String(), To: o.to, Subject: o.subject, InReplyTo: o.inReplyTo,
		Date: time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC), MessageID: "<k7qd@lantern.example>"}
	if !protected {
		return mail.WriteText(w, outer, o.text)
	}
	outer.Subject = ""
	// The encryption is left out, so that what would be inside is seen.
	return mail.WriteEncryptedText(w, outer, o.subject, o.text, []mail.Part{{Name: o.file, Type: "text/plain", Bytes: []byte("proof")}},
		func(entity []byte, w io.Writer) error { _, err := w.Write(entity); return err })
}

// TestT34Injection puts hostile texts into every field that reaches a mail and
// sends what is not refused through a real Postfix. What arrives has exactly
// the fields, the recipient and the text that were meant; judged by the
// standard library's parsers, not by ours.
func TestT34Injection(t *testing.T) {
	in, sink, p := betweenUs(t)
	relay, err := postern.NewRelay(postern.RelayConfig{URL: "smtp+insecure://" + p.addr, Name: "postern.lantern.example"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })

	sent := map[string]outgoing{} // by envelope id
	protected := map[string]bool{}
	refused := 0
	for _, name := range slices.Sorted(maps.Keys(hostileTexts)) {
		bad := hostileTexts[name]
		for field, set := range map[string]func(*outgoing){
			"name": func(o *outgoing) { o.from = bad }, "subject": func(o *outgoing) { o.subject = bad }, "text": func(o *outgoing) { o.text = bad },
			"in-reply-to": func(o *outgoing) { o.inReplyTo = bad }, "file": func(o *outgoing) { o.file = bad }, "recipient": func(o *outgoing) { o.to = bad },
		} {
			for _, inside := range []bool{false, true} {
				if field == "file" && !inside {
					continue
				}
				o := outgoing{from: "Lantern", to: "distro@linux.example", subject: "A subject", text: "A text.\n", file: "proof.txt"}
				set(&o)
				id := fmt.Sprintf("delivery-%d", len(sent))
				out := relay.Send(t.Context(), postern.Envelope{From: "security@lantern.example", To: o.to, ID: id},
					func(w io.Writer) error { return o.write(w, inside) }, nil)
				switch out.State {
				case postern.Sent:
					sent[id], protected[id] = o, inside
				default:
					refused++
					if name == "plain" && field != "recipient" && field != "file" { // which are no words
						t.Errorf("a plain %s was refused: %+v", field, out)
					}
				}
			}
		}
	}
	p.eventually("every mail arrives", func() bool { return len(sink.Messages()) >= len(sent) && p.queued() == 0 })
	got := sink.Messages()
	if len(got) != len(sent) {
		t.Errorf("%d mails arrived of %d that were sent", len(got), len(sent))
	}
	for _, m := range got {
		o, known := sent[m.ID]
		if !known || m.From != "security@lantern.example" || len(m.To) != 1 || m.To[0] != o.to {
			t.Errorf("a mail %q came from %q to %q, which nobody sent", m.ID, m.From, m.To)
			continue
		}
		if err := o.arrived(m.Data, protected[m.ID]); err != nil {
			t.Errorf("%q\narrived as\n%.1500s\n%v", o, m.Data, err)
		}
	}
	if refused == 0 || len(sent) < len(hostileTexts) {
		t.Errorf("%d were refused and %d sent: the test has tested little", refused, len(sent))
	}
	t.Logf("%d refused, %d arrived as they were meant", refused, len(sent))

	// Inbound: behind what one server takes for the end of a mail and another
	// does not, nobody smuggles a second one past Postfix and our listener.
	for name, end := range map[string]string{"LF . LF": "\n.\n", "LF . CRLF": "\n.\r\n", "CRLF . LF": "\r\n.\n", "CR . CR": "\r.\r", "CR . CRLF": "\r.\r\n",
		"CRLF . CR": "\r\n.\r", "CRLF NUL . CRLF": "\r\n\x00.\r\n"} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		conn, err := d.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		c := textproto.NewConn(conn)
		for _, line := range []string{"", "EHLO stranger.example", "MAIL FROM:<robin@elsewhere.example>", "RCPT TO:<security@lantern.example>", "DATA"} {
			if line != "" {
				_ = c.PrintfLine("%s", line)
			}
			if code, text, err := c.ReadResponse(0); code == 0 || code >= 400 {
				t.Fatalf("%s: %q was answered %d %q, %v", name, line, code, text, err)
			}
		}
		_, _ = io.WriteString(conn, "Subject: outer\r\n\r\nbody"+end+"MAIL FROM:<evil@evil.example>\r\nRCPT TO:<security@lantern.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n")
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}
	p.eventually("what was taken is delivered", func() bool { return p.queued() == 0 })
	for _, m := range in.list() {
		if m.From != "robin@elsewhere.example" || !bytes.Contains(m.raw, []byte("Subject: outer")) {
			t.Errorf("a mail was smuggled in from %q:\n%s", m.From, m.raw)
		}
	}
}

var decoder mime.WordDecoder

// arrived holds what arrived against what was meant.
func (o outgoing) arrived(raw []byte, protected bool) error {
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	want := "Content-Type Date From Message-Id Mime-Version Received Subject To"
	outer := o
	if protected {
		outer.subject = "[...]"
	} else {
		want += " Auto-Submitted Content-Transfer-Encoding"
	}
	if err := outer.fields(map[string][]string(m.Header), strings.Fields(want)); err != nil {
		return err
	}
	if !protected {
		return sameText(m.Header.Get("Content-Transfer-Encoding"), m.Body, o.text)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for range 2 { // the second holds the entity
		p, err := parts.NextRawPart()
		if err != nil {
			return fmt.Errorf("outer part: %w", err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		if p.Header.Get("Content-Type") == "application/pgp-encrypted" {
			continue
		}
		if err := o.inside(b); err != nil {
			return fmt.Errorf("inside: %w", err)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		return fmt.Errorf("a third outer part, %v", err)
	}
	return nil
}

func (o outgoing) inside(entity []byte) error {
	m, err := netmail.ReadMessage(bytes.NewReader(entity))
	if err != nil {
		return err
	}
	if err := o.fields(map[string][]string(m.Header), strings.Fields("Content-Type Date From Hp-Outer Message-Id Mime-Version Subject To")); err != nil {
		return err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for n := 0; ; n++ {
		p, err := parts.NextRawPart()
		if err == io.EOF && n == 2 {
			return nil
		}
		if err != nil || n > 1 {
			return fmt.Errorf("part %d: %v, want text and one file", n, err)
		}
		want := o.text
		if n == 1 {
			want = "proof"
			if name := p.FileName(); strings.ContainsAny(name, "\r\n\x00/") {
				return fmt.Errorf("the file's name is %q", name)
			}
		}
		if err := sameText(p.Header.Get("Content-Transfer-Encoding"), p, want); err != nil {
			return err
		}
	}
}

// fields compares the names of all fields, and what From, To and Subject say.
func (o outgoing) fields(h map[string][]string, want []string) error {
	for name, list := range h {
		if name == "In-Reply-To" || name == "References" || name == "Return-Path" {
			for _, v := range list {
				if o.inReplyTo == "" || !strings.Contains(o.inReplyTo, strings.Trim(v, "<> ")) {
					return fmt.Errorf("%s is %q, meant was %q", name, v, o.inReplyTo)
				}
			}
			continue
		}
		if !slices.Contains(want, name) {
			return fmt.Errorf("there is a field %s: %q", name, list)
		}
		if len(list) > 1 && name != "Received" && name != "Hp-Outer" {
			return fmt.Errorf("%s is there %d times", name, len(list))
		}
	}
	get := netmail.Header(h).Get
	from, err := netmail.ParseAddress(get("From"))
	if err != nil || from.Address != "security@lantern.example" || flat(from.Name) != flat(o.from) {
		return fmt.Errorf("From is %q, %v; meant was the name %q", get("From"), err, o.from)
	}
	if to, err := netmail.ParseAddressList(get("To")); err != nil || len(to) != 1 || to[0].Address != o.to {
		return fmt.Errorf("To is %q, %v; meant was %q", get("To"), err, o.to)
	}
	subject, err := decoder.DecodeHeader(get("Subject"))
	if err != nil || flat(subject) != flat(o.subject) {
		return fmt.Errorf("Subject is %q, %v; meant was %q", subject, err, o.subject)
	}
	return nil
}

// flat leaves out what folding may change.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func sameText(encoding string, r io.Reader, want string) error {
	switch strings.ToLower(encoding) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "7bit", "":
	default:
		return fmt.Errorf("encoding %q", encoding)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	lines := func(s string) string { return strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n") }
	if lines(string(b)) != lines(want) {
		return fmt.Errorf("the text is %.300q, meant was %.300q", b, want)
	}
	return nil
}
