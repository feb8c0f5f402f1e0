package pgp

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// Repair names what had to be mended in armor that a mail program, a web form
// or a person has bent. The set is closed.
type Repair string

const (
	RepairByteOrderMark Repair = "byte-order-mark"
	RepairQuoting       Repair = "quoting"           // "> " before every line
	RepairDashes        Repair = "dashes"            // en dashes, em dashes, or too few
	RepairHTML          Repair = "html"              // dashes or quotes escaped for HTML
	RepairCase          Repair = "case"              // "-----begin pgp message-----"
	RepairBlankLine     Repair = "missing-blank"     // no blank line between headers and data
	RepairSpaces        Repair = "spaces"            // spaces where lines should end, or inside them
	RepairNoFooter      Repair = "missing-footer"    // no END line, though the data are whole
	RepairChecksum      Repair = "checksum-mismatch" // the armor's checksum is wrong; the message has a better one inside
)

var (
	errArmorBroken = errors.New("armor holds characters that do not belong there")
	errArmorCut    = errors.New("armor is cut off")
	errNoArmor     = errors.New("no armored message")
)

// marker is a BEGIN or END line.
type marker struct {
	begin   bool
	kind    string // "PGP MESSAGE"
	rest    []byte // what follows on the same line
	repairs []Repair
}

// maxArmorLine is how much of one line is looked at as a line; longer ones are
// read in pieces.
const maxArmorLine = 4096

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	htmlDashes    = strings.NewReplacer("&#45;", "-", "&#x2d;", "-", "&#x2D;", "-", "&dash;", "-", "&hyphen;", "-",
		"&ndash;", "–", "&mdash;", "—", "&#8211;", "–", "&#8212;", "—", "&minus;", "−",
		"&nbsp;", " ", "&#160;", " ", "&#43;", "+", "&#47;", "/", "&#61;", "=", "&equals;", "=", "&plus;", "+", "&sol;", "/",
		"&gt;", ">", "&#62;", ">")
	oddSpaces = strings.NewReplacer("\u00a0", " ", "\u200b", "", "\u2009", " ", "\ufeff", "", "\u2028", " ")
)

// cleanLine takes quoting, indentation, HTML escapes and odd spaces off a line.
func cleanLine(line []byte) ([]byte, []Repair) {
	var repairs []Repair
	if bytes.HasPrefix(line, byteOrderMark) {
		line = line[len(byteOrderMark):]
		repairs = append(repairs, RepairByteOrderMark)
	}
	if bytes.IndexByte(line, '&') >= 0 {
		if s := htmlDashes.Replace(string(line)); s != string(line) {
			line = []byte(s)
			repairs = append(repairs, RepairHTML)
		}
	}
	if bytes.IndexByte(line, 0xc2) >= 0 || bytes.IndexByte(line, 0xe2) >= 0 || bytes.IndexByte(line, 0xef) >= 0 {
		line = []byte(oddSpaces.Replace(string(line)))
	}
	line = bytes.Trim(line, " \t\r\n\v\f")
	quoted := false
	for len(line) > 0 && (line[0] == '>' || line[0] == '|') {
		line = bytes.TrimLeft(line[1:], " \t")
		quoted = true
	}
	if quoted {
		repairs = append(repairs, RepairQuoting)
	}
	return line, repairs
}

// dashRun counts the dashes, of any kind, that s begins with.
func dashRun(s []byte) (count, size int, plain bool) {
	plain = true
	for size < len(s) {
		switch {
		case s[size] == '-':
			size++
		case s[size] != 0xe2:
			return count, size, plain
		case bytes.HasPrefix(s[size:], []byte("–")), bytes.HasPrefix(s[size:], []byte("—")), // en, em dash
			bytes.HasPrefix(s[size:], []byte("‐")), bytes.HasPrefix(s[size:], []byte("‑")), // hyphens
			bytes.HasPrefix(s[size:], []byte("−")), bytes.HasPrefix(s[size:], []byte("―")): // minus, bar
			size += 3
			plain = false
		default:
			return count, size, plain
		}
		count++
	}
	return count, size, plain
}

// parseMarker reads a cleaned line as a BEGIN or END line.
func parseMarker(line []byte) (marker, bool) {
	count, size, plain := dashRun(line)
	if count < 2 || count > 10 {
		return marker{}, false
	}
	rest := bytes.TrimLeft(line[size:], " ")
	if len(rest) < len("END PGP") || len(rest) > 0 && rest[0]|0x20 != 'b' && rest[0]|0x20 != 'e' {
		return marker{}, false
	}
	end := 0
	for end < len(rest) && end < 48 {
		if n, _, _ := dashRun(rest[end:]); n >= 2 {
			break
		}
		end++
	}
	words := string(bytes.TrimRight(rest[:end], " "))
	upper := strings.ToUpper(words)
	var m marker
	switch {
	case strings.HasPrefix(upper, "BEGIN PGP "):
		m.begin, m.kind = true, upper[len("BEGIN "):]
	case strings.HasPrefix(upper, "END PGP "):
		m.kind = upper[len("END "):]
	default:
		return marker{}, false
	}
	count2, size2, plain2 := dashRun(rest[end:])
	if count2 < 2 {
		return marker{}, false
	}
	m.rest = bytes.TrimSpace(rest[end+size2:])
	if !plain || !plain2 || count != 5 || count2 != 5 {
		m.repairs = append(m.repairs, RepairDashes)
	}
	if words != upper {
		m.repairs = append(m.repairs, RepairCase)
	}
	return m, true
}

// armorParser takes the lines of one armored block, after its BEGIN line, and
// gives its bytes. It is fed lines, or pieces of overlong ones.
type armorParser struct {
	out     []byte // decoded, not yet taken
	acc     uint32
	bits    int
	crc     uint32
	sum     uint32 // the checksum as written
	hasSum  bool
	padded  bool
	inBody  bool
	done    bool // END seen
	decoded int64
	err     error
	repairs []Repair
	longest int // of the runs of base64
}

func newArmorParser() *armorParser { return &armorParser{crc: crc24Init} }

func (a *armorParser) repair(r ...Repair) {
	for _, x := range r {
		if !containsRepair(a.repairs, x) {
			a.repairs = append(a.repairs, x)
		}
	}
}

func containsRepair(list []Repair, r Repair) bool {
	for _, x := range list {
		if x == r {
			return true
		}
	}
	return false
}

// isArmorHeader tells "Version: GnuPG v2" from a line of base64, which holds no colon.
func isArmorHeader(line []byte) bool {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return false
	}
	for _, c := range line[:i] {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// line takes one line and says whether the block is over. piece is true for a
// further piece of an overlong line, which has no quoting to take off.
func (a *armorParser) line(raw []byte, piece bool) bool {
	if a.done || a.err != nil {
		return true
	}
	line := raw
	if a.inBody && a.plainLine(raw) {
		return false
	}
	if !piece {
		var repairs []Repair
		line, repairs = cleanLine(raw)
		if len(line) > 0 {
			a.repair(repairs...)
		}
	}
	if !a.inBody {
		switch {
		case len(line) == 0:
			a.inBody = true
			return false
		case isArmorHeader(line):
			return false
		}
		a.inBody = true
		if _, end := parseMarker(line); !end {
			a.repair(RepairBlankLine)
		}
	}
	if m, ok := parseMarker(line); ok {
		if m.begin { // another block begins inside this one
			a.err = errArmorCut
			return true
		}
		a.repair(m.repairs...)
		a.finish()
		return true
	}
	tokens := 0
	for len(line) > 0 {
		i := bytes.IndexAny(line, " \t")
		token := line
		if i >= 0 {
			token, line = line[:i], bytes.TrimLeft(line[i:], " \t")
		} else {
			line = nil
		}
		if n, _, _ := dashRun(token); n >= 2 { // "... =abcd -----END PGP MESSAGE-----" on one line
			if m, ok := parseMarker(append(append(token[:len(token):len(token)], ' '), line...)); ok {
				a.repair(m.repairs...)
				a.repair(RepairSpaces)
				a.finish()
				return true
			}
		}
		if tokens++; tokens > 1 {
			a.repair(RepairSpaces)
		}
		if !a.token(token) {
			a.err = errArmorBroken
			return true
		}
	}
	return false
}

// plainLine is the short way for what nearly every line is: base64 and nothing else.
func (a *armorParser) plainLine(raw []byte) bool {
	t := bytes.TrimRight(raw, "\r\n")
	if len(t) < 32 || len(t)%4 != 0 || t[len(t)-1] == '=' || a.bits != 0 || a.padded || a.hasSum {
		return false
	}
	start := len(a.out)
	b, err := base64.StdEncoding.AppendDecode(a.out, t)
	if err != nil {
		return false
	}
	a.out, a.longest = b, max(a.longest, len(t))
	return a.flush(start)
}

// token decodes one run of base64, or the checksum.
func (a *armorParser) token(t []byte) bool {
	if t[0] == '=' && len(t) == 5 {
		a.sum, a.hasSum = 0, true
		for _, c := range t[1:] {
			v := base64Value[c]
			if v > 63 {
				return false
			}
			a.sum = a.sum<<6 | uint32(v)
		}
		return true
	}
	if a.hasSum {
		return false
	}
	a.longest = max(a.longest, len(t))
	start := len(a.out)
	if a.bits == 0 && !a.padded && len(t)%4 == 0 && bytes.IndexByte(t, '=') < 0 { // nearly every line
		if b, err := base64.StdEncoding.AppendDecode(a.out, t); err == nil {
			a.out = b
			return a.flush(start)
		}
	}
	for i, c := range t {
		v := base64Value[c]
		switch {
		case c == '=':
			a.padded = true
			if i+5 == len(t) && a.bits == 0 { // the checksum follows without a break
				return a.flush(start) && a.token(t[i:])
			}
			a.bits = 0
		case v > 63 || a.padded:
			return false
		default:
			a.acc = a.acc<<6 | uint32(v)
			if a.bits += 6; a.bits >= 8 {
				a.bits -= 8
				a.out = append(a.out, byte(a.acc>>a.bits))
			}
		}
	}
	return a.flush(start)
}

func (a *armorParser) flush(start int) bool {
	a.crc = crc24(a.crc, a.out[start:])
	a.decoded += int64(len(a.out) - start)
	return true
}

func (a *armorParser) finish() {
	a.done = true
	if a.hasSum && a.sum != a.crc>>8 {
		a.repair(RepairChecksum)
	}
}

var base64Value = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = byte(i)
	}
	return t
}()

// dearmorReader streams the bytes of the first armored message of r.
type dearmorReader struct {
	in     *bufio.Reader
	parser *armorParser
	taken  int
	piece  bool
	eof    bool
}

// dearmor gives the bytes of a message that is either binary or armored, and
// says which. Text before and after the armor is passed over.
func dearmor(r io.Reader) (io.Reader, bool, error) {
	in := bufio.NewReaderSize(r, maxArmorLine)
	head, err := in.Peek(64)
	if len(head) == 0 {
		if err == io.EOF {
			err = errNoArmor
		}
		return nil, false, err
	}
	if isBinary(head) {
		return in, false, nil
	}
	d := &dearmorReader{in: in}
	for {
		line, err := in.ReadSlice('\n')
		if m, ok := markerOf(line, d.piece); ok && m.begin && m.kind == armorMessage {
			d.parser = newArmorParser()
			d.piece = err == bufio.ErrBufferFull
			if len(m.rest) > 0 {
				d.parser.repair(RepairSpaces)
				d.parser.line(m.rest, d.piece)
			}
			return d, true, nil
		}
		d.piece = err == bufio.ErrBufferFull
		if err != nil && !d.piece {
			if err == io.EOF {
				err = errNoArmor
			}
			return nil, true, err
		}
	}
}

// isBinary tells OpenPGP packets from text, which may begin with a byte order
// mark, a dash or a space that is not ASCII either.
func isBinary(b []byte) bool {
	if len(b) == 0 || b[0]&0x80 == 0 {
		return false
	}
	b = b[:min(len(b), 64)]
	for i := 0; i < 4 && len(b) > 4; i++ { // the last character may be cut
		if utf8.Valid(b[:len(b)-i]) {
			return false
		}
	}
	return !utf8.Valid(b)
}

func markerOf(line []byte, piece bool) (marker, bool) {
	if piece {
		return marker{}, false
	}
	clean, _ := cleanLine(line)
	return parseMarker(clean)
}

func (d *dearmorReader) Read(p []byte) (int, error) {
	a := d.parser
	for d.taken == len(a.out) {
		a.out, d.taken = a.out[:0], 0
		if a.err != nil {
			return 0, a.err
		}
		if a.done || d.eof {
			return 0, io.EOF
		}
		line, err := d.in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull && err != io.EOF {
			return 0, err
		}
		a.line(line, d.piece)
		d.piece = err == bufio.ErrBufferFull
		d.eof = err == io.EOF // whether it is whole, the packets' lengths and the integrity check tell
	}
	n := copy(p, a.out[d.taken:])
	d.taken += n
	return n, nil
}
