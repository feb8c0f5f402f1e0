package disclosure

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// A report in JSON may be as large as its files. What is text in it is small,
// so the files' data are lifted out while it is read: each is checked, replaced
// by a reference that nobody outside can write, and the rest is parsed as it
// always is.

// maxJSONText is how much of a report in JSON may be anything but files' data.
const maxJSONText = 4 << 20

// ReadReportJSON is [ParseReportJSON] for a report of any size, with the same
// refusals. Its files hold no data, but their size: whoever judges a report
// needs no more. A few MiB are held at most. An error that is no *Refusal is
// of r.
func ReadReportJSON(r io.Reader) (*ReportJSON, error) {
	l := &lifter{in: bufio.NewReaderSize(r, 32<<10)}
	if _, err := rand.Read(l.secret[:]); err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	switch err := l.run(); {
	case errors.Is(err, errLongText):
		return nil, Refuse("", "The text of the report is longer than 4 MiB. Attach long text as a file.")
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("read a report: %w", err)
	}
	report, err := ParseReportJSON(l.out.Bytes())
	if report == nil {
		return nil, err
	}
	for i := range report.Files {
		f := &report.Files[i]
		f.Size = l.sizeOf(f.Data)
		f.Data = nil
	}
	return report, err
}

var errLongText = errors.New("the text is too long")

// lifter copies JSON without the data of its files. It knows of the grammar
// only what tells such data from other strings; that it is JSON at all is for
// the parser to say.
type lifter struct {
	in     *bufio.Reader
	out    bytes.Buffer
	secret [16]byte // in every reference
	sizes  []int64  // of what was lifted, decoded

	depth int
	key   []byte // the last string that was no value
	value bool   // a colon came
	files bool   // inside the array of files
}

func (l *lifter) run() error {
	for {
		c, err := l.in.ReadByte()
		if err != nil {
			return err
		}
		if l.out.Len() >= maxJSONText {
			return errLongText
		}
		if c == '"' && l.files && l.depth == 3 && l.value && string(l.key) == "data" {
			if err := l.lift(); err != nil {
				return err
			}
			continue
		}
		l.out.WriteByte(c)
		switch c {
		case '"':
			if err := l.text(); err != nil {
				return err
			}
		case '{', '[':
			l.depth++
			l.files = l.files || c == '[' && l.depth == 2 && l.value && string(l.key) == "files"
			l.value = false
		case '}', ']':
			l.depth--
			l.files = l.files && l.depth >= 2
		case ':':
			l.value = true
		case ',':
			l.value = false
		}
	}
}

// text copies a string; its opening quote is copied already.
func (l *lifter) text() error {
	from, escaped := l.out.Len(), false
	for {
		c, err := l.in.ReadByte()
		if err != nil {
			return err
		}
		if l.out.Len() >= maxJSONText {
			return errLongText
		}
		l.out.WriteByte(c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			if !l.value {
				l.key = append(l.key[:0], l.out.Bytes()[from:min(from+16, l.out.Len()-1)]...)
			}
			return nil
		}
	}
}

// lift passes over the data of a file and writes a reference; for what is no
// base64 something that is none either, and for what is no JSON no JSON.
func (l *lifter) lift() error {
	digits, padding, good := int64(0), int64(0), true
	l.out.WriteByte('"')
	for {
		if padding == 0 {
			digits += l.plainDigits() // nearly all of it
		}
		c, err := l.unescaped()
		if err == errQuote {
			break
		}
		if err != nil && err != errNoJSON {
			return err
		}
		switch {
		case err == errNoJSON:
			l.out.WriteByte(0)
		case c >= 0x80: // whether it is UTF-8 at all, the parser says
			l.out.WriteByte(c)
			good = false
		case c == '\r', c == '\n': // encoding/base64 passes over them
		case c == '=':
			padding++
		case base64Digit[c] && padding == 0:
			digits++
		default:
			good = false
		}
		if l.out.Len() >= maxJSONText {
			return errLongText
		}
	}
	switch {
	case !good || padding > 2 || (digits+padding)%4 != 0 || padding > 0 && digits%4 != 4-padding:
		l.out.WriteByte('!')
	case digits > 0:
		l.sizes = append(l.sizes, digits*3/4)
		reference := binary.BigEndian.AppendUint32(l.secret[:], uint32(len(l.sizes)-1))
		l.out.WriteString(base64.StdEncoding.EncodeToString(reference))
	}
	l.out.WriteByte('"')
	return nil
}

// plainDigits passes over the digits of base64 that stand next.
func (l *lifter) plainDigits() (n int64) {
	for {
		b, _ := l.in.Peek(max(1, l.in.Buffered()))
		here := 0
		for here < len(b) && base64Digit[b[here]] {
			here++
		}
		_, _ = l.in.Discard(here)
		if n += int64(here); here == 0 {
			return n
		}
	}
}

// sizeOf is the size of the data that a reference stands for. Data written in
// another way than as a string were not lifted.
func (l *lifter) sizeOf(data []byte) int64 {
	n, ok := bytes.CutPrefix(data, l.secret[:])
	if !ok || len(n) != 4 {
		return int64(len(data))
	}
	return l.sizes[binary.BigEndian.Uint32(n)]
}

var base64Digit = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		is[c] = true
	}
	return is
}()

var (
	errQuote  = errors.New("the string ends")
	errNoJSON = errors.New("no string of JSON has this")
)

// unescaped gives the next character of a string of JSON, as far as base64
// needs it: some writers escape the slash, some the plus. Other escapes become
// a byte that base64 has no use for.
func (l *lifter) unescaped() (byte, error) {
	c, err := l.in.ReadByte()
	switch {
	case err != nil:
		return 0, err
	case c == '"':
		return 0, errQuote
	case c < ' ':
		return 0, errNoJSON
	case c != '\\':
		return c, nil
	}
	if c, err = l.in.ReadByte(); err != nil {
		return 0, err
	}
	switch c {
	case '/':
		return c, nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case '"', '\\', 'b', 'f', 't':
		return '!', nil
	case 'u':
	default:
		return 0, errNoJSON
	}
	hex, err := l.in.Peek(4)
	if err != nil {
		return 0, err
	}
	r, err := strconv.ParseUint(string(hex), 16, 16)
	if err != nil {
		return 0, errNoJSON // what follows is read for what it is
	}
	_, _ = l.in.Discard(4)
	if r >= 0x80 {
		r = '!'
	}
	return byte(r), nil
}
