package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"postern/internal/pgp"
)

// Content is some octets of a message where they lie: in what was read, in memory, or in a spool.
// It is good as long as the Input it came from.
type Content struct {
	in       io.ReaderAt
	from     int64
	size     int64  // before decoding
	encoding string // the transfer encoding that Open undoes; empty: none
	lines    bool   // Open gives LF for the CRLF that mail ends lines with (RFC 2046 §4.1.1)
}

// Open returns a reader of the content from its beginning, transfer encoding undone as far as it
// goes.
func (c Content) Open() io.Reader {
	if c.in == nil {
		return bytes.NewReader(nil)
	}
	var in io.Reader = c.section()
	if c.encoding != "" {
		in = newTransferReader(c.section(), c.encoding)
	}
	if c.lines {
		return &lfReader{in: bufio.NewReaderSize(in, 16<<10)}
	}
	return in
}

// asFile is c as it was before it was put into a mail: a text that was not sent as data has the
// line ends of mail there.
func (c Content) asFile(l leaf) Content {
	c.lines = l.lines
	return c
}

// lfReader makes every CRLF an LF.
type lfReader struct{ in *bufio.Reader }

func (l *lfReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if n > 0 && l.in.Buffered() < 2 {
			return n, nil
		}
		b, err := l.in.ReadByte()
		if err != nil {
			return n, err
		}
		if b == '\r' {
			if next, _ := l.in.Peek(1); len(next) == 1 && next[0] == '\n' {
				continue
			}
		}
		p[n] = b
		n++
	}
	return n, nil
}

// Bytes reads all of it into memory: for what is known to be small.
func (c Content) Bytes() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(c.size) + bytes.MinRead) // decoding makes nothing longer
	_, err := b.ReadFrom(c.Open())
	return b.Bytes(), err
}

// IsZero is true for no content at all; an empty file has one.
func (c Content) IsZero() bool { return c.in == nil }

func (c Content) section() *io.SectionReader { return io.NewSectionReader(c.in, c.from, c.size) }

// slice is a stretch of content that has no encoding.
func (c Content) slice(from, to int64) Content {
	return Content{in: c.in, from: c.from + from, size: to - from}
}

// head returns the first octets, decoded, at most n.
func (c Content) head(n int) []byte {
	if c.encoding == "" {
		n = int(min(int64(n), c.size))
	}
	var b bytes.Buffer
	b.Grow(int(min(int64(n), c.size)) + bytes.MinRead)
	_, _ = b.ReadFrom(io.LimitReader(c.Open(), int64(n))) // the reader remembers what failed
	return b.Bytes()
}

// empty reports whether there is nothing in it but the octets of besides.
func (c Content) empty(besides string) bool {
	r, buf := c.Open(), make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if len(bytes.Trim(buf[:n], besides)) > 0 {
			return false
		}
		if err != nil {
			return true
		}
	}
}

func inMemory(b []byte) Content { return Content{in: bytes.NewReader(b), size: int64(len(b))} }

// Input is a message where it lies, so that none of it has to be in memory.
type Input struct {
	R    io.ReaderAt
	Size int64
	// Spool gives room for what is made of the message and is too long to hold: opened
	// plaintext, armor and transfer encoding taken off. It stays as long as the contents of
	// the pieces are read. Nil: it is held in memory.
	Spool func() (pgp.Spool, error)
}

func inputOf(b []byte) Input { return Input{R: bytes.NewReader(b), Size: int64(len(b))} }

// heldSpool is how much of each spool is held in memory, before there is one.
const heldSpool = 256 << 10

var errSpooled = errors.New("more would have to be kept than the limits allow")

// spool takes what is decoded or opened.
type spool struct {
	r    *reader
	near []byte
	far  pgp.Spool
	size int64
}

func (s *spool) Write(p []byte) (int, error) {
	r := s.r
	if r.spooled += int64(len(p)); r.spooled > r.limits.Spooled {
		return 0, errSpooled
	}
	if s.far == nil {
		if len(s.near)+len(p) <= heldSpool {
			s.near = append(s.near, p...)
			s.size += int64(len(p))
			return len(p), nil
		}
		began := pgp.Spent()
		far, err := r.newSpool()
		r.waited += pgp.Spent() - began
		if err != nil {
			return 0, r.failed(err)
		}
		s.far = far
		if err := s.write(s.near); err != nil {
			return 0, err
		}
		s.near = nil
	}
	if err := s.write(p); err != nil {
		return 0, err
	}
	s.size += int64(len(p))
	return len(p), nil
}

func (s *spool) write(p []byte) error {
	began := pgp.Spent()
	_, err := s.far.Write(p)
	s.r.waited += pgp.Spent() - began
	return s.r.failed(err)
}

func (s *spool) ReadAt(p []byte, at int64) (int, error) {
	if s.far != nil {
		return watched{s.far, s.r}.ReadAt(p, at)
	}
	return bytes.NewReader(s.near).ReadAt(p, at)
}

func (s *spool) content() Content { return Content{in: s, size: s.size} }

// memorySpool is for callers who have the whole message in memory anyhow.
type memorySpool struct{ b []byte }

func (m *memorySpool) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memorySpool) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, at)
}

// watched remembers what the input itself failed with, and how long it took: neither is the
// message's fault.
type watched struct {
	in io.ReaderAt
	r  *reader
}

func (w watched) ReadAt(p []byte, at int64) (int, error) {
	if w.r.fault != nil {
		return 0, w.r.fault
	}
	began := pgp.Spent()
	n, err := w.in.ReadAt(p, at)
	w.r.waited += pgp.Spent() - began
	if err != nil && err != io.EOF {
		return n, w.r.failed(err)
	}
	return n, err
}

func (r *reader) failed(err error) error {
	if err != nil && r.fault == nil {
		r.fault = err
	}
	return err
}

func (r *reader) newSpool() (pgp.Spool, error) {
	if r.spools == nil {
		return new(memorySpool), nil
	}
	return r.spools()
}

// seekable is c with its transfer encoding undone. ok is false where that is more than the limits
// allow.
func (r *reader) seekable(c Content, at place) (Content, bool) {
	if c.encoding == "" {
		return c, true
	}
	s := &spool{r: r}
	t := newTransferReader(c.section(), c.encoding)
	_, err := io.Copy(s, t)
	if t.damaged {
		r.m.repaired(at.path, RepairTransfer, truncate(decodeWords(c.encoding), 40))
	}
	if errors.Is(err, errSpooled) {
		r.m.problem(at.path, ProblemBudget, "")
		return Content{}, false
	}
	return s.content(), true
}

// held reads all of c, which is no longer than Limits.Held, and notes what was damaged.
func (r *reader) held(c Content, at place) []byte {
	if c.encoding == "" {
		b, _ := c.Bytes()
		return b
	}
	t := newTransferReader(c.section(), c.encoding)
	var b bytes.Buffer
	b.Grow(int(c.size) + bytes.MinRead)
	_, _ = b.ReadFrom(t)
	if t.damaged {
		r.m.repaired(at.path, RepairTransfer, truncate(decodeWords(c.encoding), 40))
	}
	return b.Bytes()
}

// scan reads lines; a line longer than its window comes in pieces. One is enough for a message.
func (r *reader) scan(c Content) *lines {
	if r.lines == nil {
		r.lines = &lines{}
	}
	r.lines.start(c)
	return r.lines
}

type lines struct {
	in   *bufio.Reader
	at   int64 // of the next line
	next bool  // the next line is the rest of this one
}

func (l *lines) start(c Content) {
	if l.in == nil {
		l.in = bufio.NewReaderSize(c.section(), 32<<10)
	} else {
		l.in.Reset(c.section())
	}
	l.at, l.next = 0, false
}

// line returns the next line with its end, and whether it is the beginning of one. It is good
// until the next call; nil at the end.
func (l *lines) line() (line []byte, at int64, first bool) {
	b, err := l.in.ReadSlice('\n')
	at, first = l.at, !l.next
	l.at += int64(len(b))
	l.next = err == bufio.ErrBufferFull
	if len(b) == 0 {
		return nil, at, first
	}
	return b, at, first
}

// splitEntity cuts an entity into header block and body at the first empty line. Of the head no
// more is returned than the limits allow, and one octet; whole is false without an empty line.
func (l *lines) splitEntity(c Content, most int) (head []byte, body Content, whole bool) {
	l.start(c)
	for {
		line, at, first := l.line()
		if line == nil {
			return head, c.slice(c.size, c.size), false
		}
		if first && (len(line) == 1 || len(line) == 2 && line[0] == '\r') && line[len(line)-1] == '\n' {
			return head, c.slice(at+int64(len(line)), c.size), true
		}
		head = append(head, line[:max(0, min(len(line), most+1-len(head)))]...)
	}
}

// splitMultipart cuts a body at the lines that are exactly its boundary (RFC 2046 §5.1.1). The
// line end before a boundary belongs to the boundary, so each part is the octets a signature
// covers. It stops after most parts.
func (l *lines) splitMultipart(c Content, boundary string, most int) (parts []Content, closed, more bool) {
	delimiter := []byte("--" + boundary)
	start, end := int64(-1), int64(0) // end: without the line end before
	l.start(c)
	for {
		line, at, first := l.line()
		if line == nil {
			break
		}
		if first && bytes.HasPrefix(line, delimiter) {
			rest := bytes.TrimRight(line[len(delimiter):], " \t\r\n")
			if (len(rest) == 0 || string(rest) == "--") && !l.next {
				if start >= 0 {
					parts = append(parts, c.slice(start, max(end, start)))
				}
				if len(rest) > 0 {
					return parts, true, false
				}
				if len(parts) >= most {
					return parts, false, true
				}
				start = at + int64(len(line))
			}
		}
		end = at + int64(len(line))
		if bytes.HasSuffix(line, []byte("\n")) {
			if end--; bytes.HasSuffix(line, []byte("\r\n")) {
				end--
			}
		}
	}
	if start >= 0 {
		parts = append(parts, c.slice(start, c.size))
	}
	return parts, false, false
}

// crlfReader makes every line end CRLF (RFC 3156 §5) and remembers whether one was not.
type crlfReader struct {
	in      *bufio.Reader
	last    byte
	due     bool // the LF of a CRLF that was written by half
	changed bool
}

func (c *crlfReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if c.due {
			p[n], c.due, c.last = '\n', false, '\n'
			n++
			continue
		}
		if n > 0 && c.in.Buffered() == 0 {
			return n, nil
		}
		b, err := c.in.ReadByte()
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		if b == '\n' && c.last != '\r' {
			c.due, c.changed = true, true
			b = '\r'
		}
		p[n], c.last = b, b
		n++
	}
	return n, nil
}

// begin makes a reader of one message.
func begin(ctx context.Context, in Input, ring pgp.Ring, now time.Time, limits Limits) *reader {
	r := &reader{ctx: ctx, ring: ring, now: now, limits: limits, m: &Message{Protection: bare()}, labels: map[string]int{}, spools: in.Spool, began: pgp.Spent()}
	r.root = Content{in: watched{in.R, r}, size: in.Size}
	return r
}

// end says what the message is not to blame for.
func (r *reader) end() (*Message, error) {
	r.finish()
	if err := r.ctx.Err(); err != nil {
		return r.m, fmt.Errorf("read message: %w", err)
	}
	if r.fault != nil {
		return r.m, fmt.Errorf("read message: %w", r.fault)
	}
	return r.m, nil
}

// transferReader undoes a Content-Transfer-Encoding as far as it goes; damaged reports whether
// something had to be passed over.
type transferReader struct {
	in      *bufio.Reader
	decode  func(t *transferReader, b []byte)
	end     func(t *transferReader)
	out     []byte
	taken   int
	over    error
	damaged bool

	acc    uint32 // base64
	n      int
	padded bool
	done   bool

	pending []byte // quoted-printable: blanks that may stand at the end of a line
	escape  []byte // what follows "=", as far as it is known
}

func newTransferReader(r io.Reader, encoding string) *transferReader {
	t := &transferReader{in: bufio.NewReaderSize(r, 16<<10)}
	switch encoding {
	case "base64":
		t.decode, t.end = (*transferReader).base64, (*transferReader).base64End
	case "quoted-printable":
		t.decode, t.end = (*transferReader).quoted, (*transferReader).quotedEnd
	default:
		t.decode, t.end = func(t *transferReader, b []byte) { t.out = append(t.out, b...) }, func(*transferReader) {}
		t.damaged = encoding != ""
	}
	return t
}

// transferEncoding is what newTransferReader understands: empty for none.
func transferEncoding(value string) string {
	switch e := strings.ToLower(strings.TrimSpace(value)); e {
	case "7bit", "8bit", "binary":
		return ""
	default:
		return e
	}
}

func (t *transferReader) Read(p []byte) (int, error) {
	for t.taken == len(t.out) {
		t.out, t.taken = t.out[:0], 0
		if t.over != nil {
			return 0, t.over
		}
		if t.done {
			return 0, io.EOF
		}
		b, err := t.in.Peek(1)
		if len(b) > 0 {
			b, _ = t.in.Peek(t.in.Buffered())
			t.decode(t, b)
			_, _ = t.in.Discard(len(b))
			continue
		}
		if err == io.EOF {
			t.end(t)
		}
		t.over = err
	}
	n := copy(p, t.out[t.taken:])
	t.taken += n
	return n, nil
}

// base64Of is the value of each letter; 64: to be passed over, 65: "=", 66: damage.
var base64Of = func() (v [256]byte) {
	for i := range v {
		v[i] = 66
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		v[c] = byte(i)
	}
	v['\r'], v['\n'], v[' '], v['\t'], v['='] = 64, 64, 64, 64, 65
	return v
}()

func (t *transferReader) base64(b []byte) {
	for _, c := range b {
		v := base64Of[c]
		switch {
		case v < 64 && !t.padded:
			t.acc = t.acc<<6 | uint32(v)
			if t.n++; t.n == 4 {
				t.out = append(t.out, byte(t.acc>>16), byte(t.acc>>8), byte(t.acc))
				t.acc, t.n = 0, 0
			}
		case v < 64: // data after the padding
			t.damaged, t.done = true, true
			t.base64End()
			return
		case v == 65:
			t.padded = true
		case v == 66:
			t.damaged = true
		}
	}
}

func (t *transferReader) base64End() {
	switch t.n {
	case 1:
		t.damaged = true
	case 2:
		t.out = append(t.out, byte(t.acc>>4))
	case 3:
		t.out = append(t.out, byte(t.acc>>10), byte(t.acc>>2))
	}
	t.damaged = t.damaged || t.n != 0 && !t.padded
	t.n = 0
}
