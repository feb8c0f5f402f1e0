package pgp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Spool keeps bytes that are too many to hold in memory: written in order,
// then read anywhere. It must keep them as well sealed as what they came from.
type Spool interface {
	io.Writer
	io.ReaderAt
}

// Scanned is what Scan found, without the bytes.
type Scanned struct {
	Shape      Shape
	Repairs    []Repair
	Recipients []uint64
	Why        string // for ShapeBroken

	Start, End int64 // of the block in the text; End is 0 where there is none

	// Body is the block's packets, Size bytes, armor taken off. Nil for text,
	// clear-signed text, broken armor and private keys.
	Body io.ReaderAt
	Size int64
}

// heldBlock is how much of one block's packets Scan holds in memory; longer
// ones go to a spool.
const heldBlock = 256 << 10

// Scan is Inspect for a text too long to hold: it reads it line by line, and
// holds none of it. The error is the text's or the spool's own.
func Scan(text io.ReaderAt, size int64, spool func() (Spool, error)) (found Scanned, err error) {
	src := &source{r: text, size: int(size), spool: spool}
	defer func() {
		if recover() != nil { // no input is known to do this
			found = Scanned{Shape: ShapeBroken, Why: "This text cannot be read."}
		}
		if src.err != nil {
			found, err = Scanned{}, fmt.Errorf("look through a text: %w", src.err)
		}
	}()
	b, why := (&blockScanner{text: src, signedLeft: 16}).first()
	switch {
	case why != "":
		return Scanned{Shape: ShapeBroken, Why: why}, nil
	case b == nil:
		return Scanned{Shape: ShapeText}, nil
	case b.shape == ShapePrivateKey:
		return Scanned{Shape: ShapePrivateKey}, nil
	case b.shape == ShapeBroken:
		return Scanned{Shape: ShapeBroken, Why: b.why}, nil
	}
	s := Scanned{Shape: b.shape, Repairs: b.repairs, Recipients: b.recipients, Start: int64(b.start), End: int64(b.end)}
	if s.Shape != ShapeClearSigned {
		s.Body, s.Size = b.packets, b.size
	}
	if s.Shape == ShapeMessage && (b.crowded || !src.blank(0, b.start) || !src.blank(b.end, src.size)) {
		s.Shape = ShapeMixed
	}
	return s, nil
}

// source is a text in memory, or where it lies.
type source struct {
	mem   []byte // nil: r
	r     io.ReaderAt
	size  int
	spool func() (Spool, error)

	window []byte
	from   int   // of window
	err    error // of r or spool; then nothing more is found
}

func inMemory(text []byte) *source { return &source{mem: text, size: len(text)} }

// sourceWindow is how much of a text is looked at at once, and the longest
// line that is read as one.
const sourceWindow = 64 << 10

// line gives the line that begins at, and where the next begins. cut says that
// it is a piece of a line longer than the window.
func (s *source) line(at int) (line []byte, next int, cut bool) {
	if s.mem != nil || s.r == nil {
		line, next = lineAt(s.mem, at)
		return line, next, false
	}
	for range 2 {
		if at >= s.from && at < s.from+len(s.window) {
			rest := s.window[at-s.from:]
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				return rest[:i], at + i + 1, false
			}
			if s.from+len(s.window) >= s.size {
				return rest, s.size, false
			}
		}
		if at != s.from || len(s.window) == 0 {
			if !s.load(at) {
				return nil, s.size, false
			}
			continue
		}
	}
	// No marker may be cut in two.
	piece := s.window
	if i := bytes.LastIndex(piece[len(piece)-64:], []byte("-----")); i >= 0 && len(piece) == sourceWindow {
		piece = piece[:len(piece)-64+i]
	}
	return piece, at + len(piece), true
}

func (s *source) load(at int) bool {
	if s.err != nil {
		return false
	}
	if s.window == nil {
		s.window = make([]byte, 0, sourceWindow)
	}
	n, err := s.r.ReadAt(s.window[:min(sourceWindow, s.size-at)], int64(at))
	if err != nil && (err != io.EOF || n == 0) {
		s.err = err
		if err == io.EOF {
			s.err = io.ErrUnexpectedEOF
		}
		return false
	}
	s.window, s.from = s.window[:n], at
	return n > 0
}

// blank says whether there is nothing to see between from and to.
func (s *source) blank(from, to int) bool {
	for at := from; at < to; {
		line, next, _ := s.line(at)
		if !blank(line[:min(len(line), to-at)]) {
			return false
		}
		at = next
	}
	return true
}

// spilled is a block on its way to a spool.
type spilled struct {
	spool Spool
	size  int64
}

func (s *spilled) write(src *source, b []byte) {
	if src.err == nil && s.spool == nil {
		if src.spool == nil {
			src.err = errors.New("no room for a long message")
			return
		}
		s.spool, src.err = src.spool()
	}
	if src.err != nil {
		return
	}
	n, err := s.spool.Write(b)
	s.size += int64(n)
	src.err = err
}
