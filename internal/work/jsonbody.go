package work

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"postern/internal/disclosure"
	"postern/internal/mail"
	"postern/internal/pgp"
)

// A report in JSON is read without its long strings, which stay where they
// lie: a mark stands for each, and is looked up where the report has it.

// The gate takes 4 MiB beside the data of files, for each of which it counts 28
// bytes; a file has 12 more at least. With up to longString bytes for each,
// what it took is never beyond maxJSON here.
const (
	longString = 64      // bytes of a string; a longer one is left where it lies
	maxJSON    = 8 << 20 // bytes of the rest
)

// shortJSON is a JSON text whose long strings were taken out.
type shortJSON struct {
	text  []byte
	nonce [12]byte
	cuts  []cut
}

// cut is where a string lies, without its quotes.
type cut struct{ from, to int64 }

var errJSON = errors.New("the JSON is too large without its long texts")

// shorten reads r to its end. What is no JSON is not its business.
func shorten(r io.Reader) (*shortJSON, error) {
	s := &shortJSON{}
	_, _ = rand.Read(s.nonce[:])
	in := bufio.NewReaderSize(r, 64<<10)
	inside, escaped := false, false
	var at, begin int64 // of the string: in r
	start := 0          // and in s.text
	for {
		c, err := in.ReadByte()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		switch {
		case !inside:
			if inside = c == '"'; inside {
				begin, start = at+1, len(s.text)+1
			}
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			inside = false
			if at-begin > longString {
				s.text = append(s.text[:start], s.mark(len(s.cuts))...)
				s.cuts = append(s.cuts, cut{begin, at})
			}
		}
		if !inside || at-begin <= longString {
			s.text = append(s.text, c)
		}
		if at++; len(s.text) > maxJSON {
			return nil, errJSON
		}
	}
}

// mark is 18 bytes in base64: a string for a string, and data for data.
func (s *shortJSON) mark(n int) string {
	b := append([]byte(nil), s.nonce[:]...)
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(append(b, 0, 0), uint32(n)))
}

// cutOf finds what a mark stands for, as text or as the data it decodes to.
func (s *shortJSON) cutOf(mark []byte) (cut, bool) {
	if b := make([]byte, 18); len(mark) == 24 {
		if n, err := base64.StdEncoding.Decode(b, mark); err != nil || n != 18 {
			return cut{}, false
		}
		mark = b
	}
	if len(mark) != 18 || !bytes.HasPrefix(mark, s.nonce[:]) {
		return cut{}, false
	}
	n := binary.BigEndian.Uint32(mark[14:])
	if int64(n) >= int64(len(s.cuts)) {
		return cut{}, false
	}
	return s.cuts[n], true
}

// reader gives what a cut stands for, without its escapes.
func (c cut) reader(from io.ReaderAt) io.Reader {
	size := c.to - c.from
	return newUnescaper(io.NewSectionReader(from, c.from, size), int(min(size, 32<<10)))
}

// dataReader gives the data of a file that was cut.
func (c cut) dataReader(from io.ReaderAt) io.Reader {
	return &fileData{base64.NewDecoder(base64.StdEncoding, c.reader(from))}
}

// wellFormed is b with U+FFFD for each byte that is no part of UTF-8, which is
// what encoding/json makes of it in a string that was not cut.
func wellFormed(b []byte) string { return string([]rune(string(b))) }

// json reads the API's JSON. One that does not parse was taken all the same,
// and is shown as it came.
func (r *reader) json(ctx context.Context, in mail.Input) error {
	short, err := shorten(io.NewSectionReader(in.R, 0, in.Size))
	if err != nil && !errors.Is(err, errJSON) {
		return r.faulty(err)
	}
	var report *disclosure.ReportJSON
	if err == nil {
		report, err = disclosure.ParseReportJSON(short.text)
	}
	if err != nil {
		r.problem("The JSON could not be read: " + err.Error())
		return r.posted(ctx, in)
	}
	text := func(s string) string { // what is shown of a long one
		c, ok := short.cutOf([]byte(s))
		if !ok {
			return s
		}
		b, _ := io.ReadAll(io.LimitReader(c.reader(in.R), maxText+1))
		if len(b) > maxText {
			r.problem("The text is longer than can be shown; the rest is in the original.")
			b = b[:maxText]
		}
		return wellFormed(b)
	}
	if r.title == "" {
		r.title = cleanTitle(text(report.Title))
	}
	if report.Key != "" && len(r.key) == 0 {
		if certs, err := pgp.ParseCertificates([]byte(text(report.Key))); err == nil {
			r.key = certs[0].Binary()
		} else {
			r.problem("The key that came along cannot be used: " + err.Error() + ".")
		}
	}
	r.name, r.address = text(report.Name), text(report.Address)
	description := mail.Input{R: strings.NewReader(report.Description), Size: int64(len(report.Description)), Spool: in.Spool}
	if c, ok := short.cutOf([]byte(report.Description)); ok {
		spool, err := in.Spool()
		if err != nil {
			return r.faulty(err)
		}
		size, err := io.Copy(spool, c.reader(in.R))
		if err != nil {
			return r.faulty(err)
		}
		description.R, description.Size = spool, size
	}
	if err := r.posted(ctx, description); err != nil {
		return err
	}
	r.section("Affected versions", text(report.Versions))
	r.section("How to reproduce", text(report.Reproduce))
	r.section("Impact", text(report.Impact))
	for _, ask := range sortedKeys(report.Answers) {
		r.section(askWords(text(ask)), text(report.Answers[ask]))
	}
	for _, f := range report.Files {
		f.Name, f.Type = text(f.Name), text(f.Type)
		data := f.Data
		file := foundFile{label: f.Name, media: f.Type, open: func() io.Reader { return bytes.NewReader(data) }}
		if c, ok := short.cutOf(data); ok {
			file.open = func() io.Reader { return c.dataReader(in.R) }
		}
		if !mail.MayBeOpenPGP(f.Name, f.Type) {
			r.files = append(r.files, file)
			r.found = append(r.found, sealed)
			continue
		}
		spool, err := in.Spool()
		if err != nil {
			return r.faulty(err)
		}
		size, err := io.Copy(spool, file.open())
		if err != nil {
			return r.faulty(err)
		}
		part := disclosure.ArrivalPart{Name: f.Name, Type: f.Type, Size: size}
		if err := r.upload(ctx, part, mail.Input{R: spool, Size: size, Spool: in.Spool}, file); err != nil {
			return err
		}
	}
	return nil
}

// fileData ends where its base64 is damaged: the gate took none that is, and
// what a stranger wrote must not keep the rest from being stored.
type fileData struct{ in io.Reader }

func (f *fileData) Read(p []byte) (int, error) {
	n, err := f.in.Read(p)
	var damaged base64.CorruptInputError
	if errors.As(err, &damaged) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, io.EOF
	}
	return n, err
}

// unescaper undoes the escapes of a JSON string (RFC 8259 §7).
type unescaper struct {
	in  *bufio.Reader
	out []byte
	err error
}

func newUnescaper(r io.Reader, buffer int) *unescaper {
	return &unescaper{in: bufio.NewReaderSize(r, buffer)}
}

func (u *unescaper) Read(p []byte) (int, error) {
	if len(u.out) == 0 && u.err == nil {
		u.fill()
	}
	if len(u.out) == 0 {
		return 0, u.err
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *unescaper) fill() {
	if _, err := u.in.Peek(1); err != nil {
		u.err = err
		return
	}
	b, _ := u.in.Peek(u.in.Buffered())
	if i := bytes.IndexByte(b, '\\'); i != 0 {
		if i > 0 {
			b = b[:i]
		}
		u.out = append([]byte(nil), b...)
		_, _ = u.in.Discard(len(b))
		return
	}
	_, _ = u.in.Discard(1)
	c, err := u.in.ReadByte()
	if err != nil {
		u.err = err
		return
	}
	switch c {
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		u.out = utf8.AppendRune(nil, u.rune())
		return
	}
	u.out = []byte{c}
}

// rune reads what follows "\u", and its other half.
func (u *unescaper) rune() rune {
	r := u.hex(0)
	_, _ = u.in.Discard(min(4, u.in.Buffered()))
	if !utf16.IsSurrogate(r) {
		return r
	}
	if next, _ := u.in.Peek(6); len(next) == 6 && next[0] == '\\' && next[1] == 'u' {
		if whole := utf16.DecodeRune(r, u.hex(2)); whole != utf8.RuneError {
			_, _ = u.in.Discard(6)
			return whole
		}
	}
	return utf8.RuneError
}

func (u *unescaper) hex(skip int) (r rune) {
	b, _ := u.in.Peek(skip + 4)
	if len(b) < skip+4 {
		return utf8.RuneError
	}
	for _, c := range b[skip:] {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 {
			return utf8.RuneError
		}
		r = r<<4 | rune(digit)
	}
	return r
}
