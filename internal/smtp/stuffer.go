package smtp

import (
	"bufio"
	"bytes"
	"io"
)

// stuffer doubles dots at the beginning of lines (RFC 5321 section 4.5.2) and holds back the last line end, so that this and the final dot
// are all that is left to write once the caller has agreed. It expects lines ended by CRLF and nothing else. The library's own writer goes
// byte by byte and would cost more than the encryption of what it sends.
type stuffer struct {
	w     *bufio.Writer
	begin bool   // the next byte begins a line
	held  []byte // "", "\r" or "\r\n": written when more comes
}

func newStuffer(w io.Writer) *stuffer {
	return &stuffer{w: bufio.NewWriterSize(w, 16<<10), begin: true} // 16 KiB: one TLS record
}

func (s *stuffer) Write(p []byte) (int, error) {
	size := len(p)
	if size == 0 {
		return 0, nil
	}
	if string(s.held) == "\r" && p[0] == '\n' {
		s.held = append(s.held, '\n')
		p = p[1:]
	}
	if len(p) == 0 {
		return size, nil
	}
	if len(s.held) > 0 {
		s.begin = len(s.held) == 2
		if _, err := s.w.Write(s.held); err != nil {
			return 0, err
		}
	}
	keep := 0
	switch {
	case bytes.HasSuffix(p, []byte("\r\n")):
		keep = 2
	case p[len(p)-1] == '\r':
		keep = 1
	}
	s.held = append(s.held[:0], p[len(p)-keep:]...)
	if err := s.stuff(p[:len(p)-keep]); err != nil {
		return 0, err
	}
	return size, nil
}

func (s *stuffer) stuff(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if s.begin && p[0] == '.' {
		s.w.WriteByte('.') // an error stays with the writer
	}
	s.begin = false
	for {
		at := bytes.Index(p, []byte("\n."))
		if at < 0 {
			_, err := s.w.Write(p)
			return err
		}
		s.w.Write(p[:at+1])
		if err := s.w.WriteByte('.'); err != nil {
			return err
		}
		p = p[at+1:]
	}
}

// flush writes everything but what is held back.
func (s *stuffer) flush() error { return s.w.Flush() }
