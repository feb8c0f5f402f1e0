package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// SpoolMemory is how much of a [Spool] stays in memory, in bytes.
const SpoolMemory = 256 << 10

// ErrSpool wraps every error that means the spool's disk is full or gone.
var ErrSpool = errors.New("the spool took no more")

// Spool holds bytes that are on their way, however slowly they come, so that
// nothing else has to wait for them. What is more than SpoolMemory lies in a
// file, as ciphertext under a key that lives in the Spool alone; the file is
// unlinked as soon as it is open, so that a killed program leaves nothing.
type Spool struct {
	dir  string
	size int64
	mem  bytes.Buffer
	key  Key
	file *os.File
	blob io.WriteCloser
	err  error
}

// NewSpool makes one that uses dir when it needs a file; empty: the system's
// folder for temporary files. Close gives everything back.
func NewSpool(dir string) *Spool { return &Spool{dir: dir} }

// Size is how many bytes were written.
func (s *Spool) Size() int64 { return s.size }

// OnDisk says whether it takes a file. What does not is no more than SpoolMemory.
func (s *Spool) OnDisk() bool { return s.file != nil }

// Grow makes room for n more bytes, at most SpoolMemory.
func (s *Spool) Grow(n int) { s.mem.Grow(min(n, SpoolMemory)) }

// Write adds bytes. Its error wraps ErrSpool, and stays.
func (s *Spool) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.file == nil && s.mem.Len()+len(p) > SpoolMemory {
		if s.err = s.spill(); s.err != nil {
			return 0, s.err
		}
	}
	if s.file == nil {
		s.mem.Write(p)
	} else if _, err := s.blob.Write(p); err != nil {
		s.err = fmt.Errorf("%w: %w", ErrSpool, err)
		return 0, s.err
	}
	s.size += int64(len(p))
	return len(p), nil
}

// spill moves what is in memory to the file and goes on there.
func (s *Spool) spill() error {
	f, err := os.CreateTemp(s.dir, "body-")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	s.file, s.key = f, NewKey()
	s.blob = s.key.SealBlob(spoolPlace, func(_ int, sealed []byte) error {
		if err := binary.Write(f, binary.BigEndian, uint32(len(sealed))); err != nil {
			return err
		}
		_, err := f.Write(sealed)
		return err
	})
	if _, err := s.blob.Write(s.mem.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	clear(s.mem.Bytes())
	s.mem = bytes.Buffer{}
	return nil
}

var spoolPlace = AAD{Table: "spool", Column: "body"}

// Reader gives the bytes back, from the beginning. Nothing may be written
// afterwards, and only the newest Reader may be read.
func (s *Spool) Reader() (io.Reader, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.file == nil {
		return bytes.NewReader(s.mem.Bytes()), nil
	}
	if s.blob != nil {
		if err := s.blob.Close(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSpool, err)
		}
		s.blob = nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	return s.key.OpenBlob(spoolPlace, func(int) ([]byte, error) {
		var n uint32
		if err := binary.Read(s.file, binary.BigEndian, &n); err != nil {
			return nil, err // io.EOF past the last
		}
		if n > MaxBlobChunk {
			return nil, errors.New("the spool file is damaged")
		}
		sealed := make([]byte, n)
		_, err := io.ReadFull(s.file, sealed)
		return sealed, err
	}), nil
}

// Head gives the first bytes back, at most n. Nothing may be written
// afterwards, and the caller must not change them.
func (s *Spool) Head(n int64) ([]byte, error) {
	n = min(n, s.size)
	if !s.OnDisk() {
		return s.mem.Bytes()[:n], s.err
	}
	r, err := s.Reader()
	if err != nil {
		return nil, err
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("%w: read it back: %w", ErrSpool, err)
	}
	return head, nil
}

// Close gives memory and disk back. More than once does no more.
func (s *Spool) Close() {
	clear(s.mem.Bytes())
	if s.file != nil {
		s.file.Close()
	}
}
