package mail

import (
	"bytes"
	"io"
	"mime"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

// field is one header field as it came, unfolded.
type field struct {
	key   string // lower case
	value string // raw octets, folding undone
}

// header is a parsed header block.
type header struct {
	fields []field
	bad    int  // lines that were no fields
	cut    bool // over the limits
}

// parseHeader reads every line that is a field and counts those that are not: a hostile header
// must not hide the rest of itself. It never fails.
func parseHeader(block []byte) header { return parseHeaderLimited(block, DefaultLimits) }

func parseHeaderLimited(block []byte, limits Limits) header {
	var h header
	if len(block) > limits.Header {
		block, h.cut = block[:limits.Header], true
	}
	var value *bytes.Buffer // of the field being read
	var key string
	end := func() {
		if value != nil {
			h.fields = append(h.fields, field{key, strings.TrimSpace(value.String())})
			value = nil
		}
	}
	for line := range bytes.Lines(block) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if value == nil {
				h.bad++
				continue
			}
			value.WriteByte(' ')
			value.Write(bytes.TrimLeft(line, " \t"))
			continue
		}
		end()
		name, rest, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !ok || !validFieldName(name) {
			h.bad++
			continue
		}
		if len(h.fields) >= limits.Fields {
			h.cut = true
			return h
		}
		key, value = strings.ToLower(string(name)), bytes.NewBuffer(bytes.Clone(rest))
	}
	end()
	return h
}

func validFieldName(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 100
}

func (h header) first(key string) string {
	for _, f := range h.fields {
		if f.key == key {
			return f.value
		}
	}
	return ""
}

func (h header) count(key string) (n int) {
	for _, f := range h.fields {
		if f.key == key {
			n++
		}
	}
	return n
}

// splitEntity cuts an entity into header block and body at the first empty line.
func splitEntity(raw []byte) (head, body []byte) {
	if bytes.HasPrefix(raw, []byte("\n")) || bytes.HasPrefix(raw, []byte("\r\n")) {
		return nil, bytes.TrimPrefix(bytes.TrimPrefix(raw, []byte("\r")), []byte("\n"))
	}
	for rest := raw; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return raw, nil
		}
		rest = rest[i+1:]
		if bytes.HasPrefix(rest, []byte("\n")) {
			return raw[:len(raw)-len(rest)], rest[1:]
		}
		if bytes.HasPrefix(rest, []byte("\r\n")) {
			return raw[:len(raw)-len(rest)], rest[2:]
		}
	}
}

// splitMultipart is for what is in memory.
func splitMultipart(body []byte, boundary string, most int) (parts [][]byte, closed, more bool) {
	list, closed, more := new(lines).splitMultipart(inMemory(body), boundary, most)
	for _, c := range list {
		parts = append(parts, body[c.from:c.from+c.size])
	}
	return parts, closed, more
}

// contentType parses a Content-Type or Content-Disposition, and guesses where it is malformed:
// a message must not hide its structure from us behind a stray semicolon.
func contentType(value, fallback string) (string, map[string]string) {
	if strings.TrimSpace(value) == "" {
		return fallback, map[string]string{}
	}
	if typ, params, err := mime.ParseMediaType(value); err == nil {
		return typ, params
	}
	typ, rest, _ := strings.Cut(value, ";")
	typ = strings.ToLower(strings.TrimSpace(typ))
	if !mediaType.MatchString(typ) && !strings.HasPrefix(typ, "attachment") && !strings.HasPrefix(typ, "inline") {
		typ = fallback
	}
	params := map[string]string{}
	for _, m := range looseParam.FindAllStringSubmatch(rest, 20) {
		key, v := strings.ToLower(m[1]), strings.Trim(m[2], `"`)
		if _, twice := params[key]; !twice {
			params[key] = v
		}
	}
	return typ, params
}

var looseParam = regexp.MustCompile(`([A-Za-z0-9-]+)\s*=\s*("[^"]*"|[^\s;"]+)`)

// decodeTransfer is for what is in memory.
func decodeTransfer(body []byte, encoding string) (decoded []byte, damaged bool) {
	if encoding = transferEncoding(encoding); encoding == "" {
		return body, false
	}
	t := newTransferReader(bytes.NewReader(body), encoding)
	decoded, _ = io.ReadAll(t)
	return decoded, t.damaged
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// decodeCharset returns b as UTF-8, best effort; ok is false where the charset was unknown or
// lied and U+FFFD stands for what could not be read.
func decodeCharset(b []byte, name string) (text string, ok bool) {
	name = strings.ToLower(strings.Trim(strings.TrimSpace(name), `"'`))
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "x-unknown", "unknown-8bit":
		return strings.ToValidUTF8(string(b), "\uFFFD"), utf8.Valid(b)
	}
	if r, err := charset.Reader(name, bytes.NewReader(b)); err == nil {
		// A decoder may write three octets for one.
		if out, err := io.ReadAll(io.LimitReader(r, int64(len(b))*4+16)); err == nil && !(strings.Trim(string(out), "\uFFFD") == "" && len(b) > 0) {
			return strings.ToValidUTF8(string(out), "\uFFFD"), !bytes.Contains(out, []byte("\uFFFD"))
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), false
}

// plainText makes line ends LF and other control characters visible as U+FFFD.
func plainText(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return '\n'
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return utf8.RuneError
		}
		return r
	}, s)
}

var wordDecoder = mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	s, _ := decodeCharset(b, name)
	return strings.NewReader(s), nil
}}

// decodeWords decodes RFC 2047 words of a raw value, into one line of UTF-8.
func decodeWords(raw string) string {
	if len(raw) > 16<<10 {
		raw = raw[:16<<10]
	}
	raw = strings.ToValidUTF8(raw, "\uFFFD")
	if decoded, err := wordDecoder.DecodeHeader(raw); err == nil {
		raw = decoded
	}
	raw = strings.ToValidUTF8(raw, "\uFFFD")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029':
			return utf8.RuneError
		}
		return r
	}, raw))
}

// interpret turns raw fields into a Header.
func (h header) interpret() Header {
	out := Header{
		From: decodeWords(h.first("from")), To: decodeWords(h.first("to")), Cc: decodeWords(h.first("cc")),
		ReplyTo: decodeWords(h.first("reply-to")), Subject: decodeWords(h.first("subject")),
		MessageID:  firstID(h.first("message-id")),
		InReplyTo:  ids(h.first("in-reply-to")),
		References: ids(h.first("references")),
	}
	if date := h.first("date"); len(date) < 200 {
		if t, err := netmail.ParseDate(date); err == nil {
			out.Date = t.UTC()
		}
	}
	out.FromAddress = h.single("from")
	out.ReplyToAddress = h.single("reply-to")
	out.Automatic = h.automatic()
	return out
}

// single returns the address of a field that stands once and holds one.
func (h header) single(key string) string {
	if h.count(key) != 1 {
		return ""
	}
	list, err := addressParser.ParseList(truncate(h.first(key), 4096))
	if err != nil || len(list) != 1 {
		return ""
	}
	a, err := ParseAddress(list[0].Address)
	if err != nil {
		return ""
	}
	return a.Addr
}

var addressParser = netmail.AddressParser{WordDecoder: &wordDecoder}

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

var idPat = regexp.MustCompile(`<[!-;=?-~]{1,480}>`)

// ids returns the well-formed Message-IDs in s, at most a hundred.
func ids(s string) []string { return idPat.FindAllString(s, 100) }

func firstID(s string) string { return idPat.FindString(s) }

var daemons = regexp.MustCompile(`(?i)^(mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|listserv|majordomo|.*-(request|owner|bounces)|owner-.*)(\+.*)?@`)

func (h header) automatic() Automatic {
	var a Automatic
	submitted, _, _ := strings.Cut(h.first("auto-submitted"), ";")
	if s := strings.ToLower(strings.TrimSpace(submitted)); s != "" && s != "no" {
		a.Submitted = truncate(decodeWords(s), 40)
	}
	switch p := strings.ToLower(h.first("precedence")); p {
	case "bulk", "junk", "list", "auto_reply":
		a.Precedence = p
	}
	for _, f := range h.fields {
		switch f.key {
		case "list-id", "list-post", "list-unsubscribe", "list-help", "list-owner", "list-archive", "mailing-list":
			a.List = true
		case "x-autoreply", "x-autorespond", "x-auto-response-suppress", "x-loop", "x-mailer-daemon":
			a.Suppressed = true
		}
	}
	a.NullSender = strings.ReplaceAll(h.first("return-path"), " ", "") == "<>"
	typ, _ := contentType(h.first("content-type"), "text/plain")
	a.Report = typ == "multipart/report"
	a.Daemon = daemons.MatchString(h.single("from")) || daemons.MatchString(strings.Trim(h.first("from"), "<> "))
	return a
}

// ReadHeader reads only the header of raw: cheap, for deciding about a message before opening it.
func ReadHeader(raw []byte) Header {
	head, _ := splitEntity(raw)
	return parseHeader(head).interpret()
}

// IsAutomatic reports whether nothing automatic may be sent in answer to raw.
func IsAutomatic(raw []byte) bool { return ReadHeader(raw).Automatic.Is() }

// AuthResult is one verdict of the project's own mail server (RFC 8601).
type AuthResult struct {
	Method string // "dkim", "spf", "dmarc", "arc" …
	Result string // "pass", "fail", "none" …
	Detail string // the properties, as "header.d=example.org"
}

// AuthenticationResults returns what the server that calls itself authservID found. Fields of any
// other name are a stranger's own words and are passed over; that server must remove forged ones
// under its name (RFC 8601 §5), which we cannot see from here.
func (m *Message) AuthenticationResults(authservID string) []AuthResult {
	return authResults(m.raw, authservID)
}

func authResults(fields []field, authservID string) []AuthResult {
	var out []AuthResult
	for _, f := range fields {
		if f.key != "authentication-results" || authservID == "" || len(out) > 50 {
			continue
		}
		clauses := strings.Split(dropComments(decodeWords(f.value)), ";")
		name := strings.Fields(clauses[0])
		if len(name) == 0 || !strings.EqualFold(name[0], authservID) {
			continue
		}
		for _, clause := range clauses[1:] {
			words := strings.Fields(clause)
			if len(words) == 0 {
				continue
			}
			method, result, ok := strings.Cut(words[0], "=")
			if !ok {
				continue
			}
			method, _, _ = strings.Cut(method, "/")
			out = append(out, AuthResult{strings.ToLower(method), strings.ToLower(result), strings.Join(words[1:], " ")})
		}
	}
	return out
}

func dropComments(s string) string {
	depth := 0
	return strings.Map(func(r rune) rune {
		switch {
		case r == '(':
			depth++
			return -1
		case r == ')' && depth > 0:
			depth--
			return -1
		case depth > 0:
			return -1
		}
		return r
	}, s)
}
