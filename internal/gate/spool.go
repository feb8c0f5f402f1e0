package gate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"postern/internal/vault"
)

// memoryLimit is how much of a body stays in memory; what is more goes to the
// spool, as ciphertext under a key that lives only in the request.
const memoryLimit = 256 << 10

// errNoRoom: the spool's disk is full or gone. To the sender it is the same as
// a database that does not answer: nothing was stored.
var errNoRoom = errors.New("the spool took no more")

// body collects what came, in the order it came, while hashing it. A spool
// file is unlinked as soon as it is open: a killed gate leaves nothing behind.
type body struct {
	dir  string
	sum  hash.Hash
	size int64
	mem  bytes.Buffer
	key  vault.Key
	file *os.File
	blob io.WriteCloser
	err  error
}

func newBody(dir string) *body { return &body{dir: dir, sum: sha256.New()} }

// expect makes room for as many bytes as are said to come, if they are few: who
// says so may never send them. -1: not said.
func (b *body) expect(n int64) { b.mem.Grow(int(min(max(n, 0), smallBody))) }

func (b *body) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.file == nil && b.mem.Len()+len(p) > memoryLimit {
		if b.err = b.spill(); b.err != nil {
			return 0, b.err
		}
	}
	if b.file == nil {
		b.mem.Write(p)
	} else if _, err := b.blob.Write(p); err != nil {
		b.err = fmt.Errorf("%w: %w", errNoRoom, err)
		return 0, b.err
	}
	b.sum.Write(p)
	b.size += int64(len(p))
	return len(p), nil
}

// spill moves what is in memory to the spool and goes on there.
func (b *body) spill() error {
	f, err := os.CreateTemp(b.dir, "body-")
	if err != nil {
		return fmt.Errorf("%w: %w", errNoRoom, err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return fmt.Errorf("%w: %w", errNoRoom, err)
	}
	b.file, b.key = f, vault.NewKey()
	b.blob = b.key.SealBlob(spoolPlace, func(_ int, sealed []byte) error {
		if err := binary.Write(f, binary.BigEndian, uint32(len(sealed))); err != nil {
			return err
		}
		_, err := f.Write(sealed)
		return err
	})
	if _, err := b.blob.Write(b.mem.Bytes()); err != nil {
		return fmt.Errorf("%w: %w", errNoRoom, err)
	}
	clear(b.mem.Bytes())
	b.mem = bytes.Buffer{}
	return nil
}

var spoolPlace = vault.AAD{Table: "spool", Column: "body"}

// reader gives the bytes back from the beginning. Nothing may be written
// afterwards, and only the newest reader is good.
func (b *body) reader() (io.Reader, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.file == nil {
		return bytes.NewReader(b.mem.Bytes()), nil
	}
	if b.blob != nil {
		if err := b.blob.Close(); err != nil {
			return nil, fmt.Errorf("%w: %w", errNoRoom, err)
		}
		b.blob = nil
	}
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoRoom, err)
	}
	return b.key.OpenBlob(spoolPlace, func(int) ([]byte, error) {
		var n uint32
		if err := binary.Read(b.file, binary.BigEndian, &n); err != nil {
			return nil, err // io.EOF past the last
		}
		if n > vault.MaxBlobChunk {
			return nil, errors.New("the spool file is damaged")
		}
		sealed := make([]byte, n)
		_, err := io.ReadFull(b.file, sealed)
		return sealed, err
	}), nil
}

// spooled says whether the body is on disk. One that is not is small.
func (b *body) spooled() bool { return b.file != nil }

// head gives the first bytes back, at most n. Nothing may be written
// afterwards. The caller must not change them.
func (b *body) head(n int64) ([]byte, error) {
	n = min(n, b.size)
	if !b.spooled() {
		return b.mem.Bytes()[:n], b.err
	}
	r, err := b.reader()
	if err != nil {
		return nil, err
	}
	head := make([]byte, n)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("%w: read it back: %w", errNoRoom, err)
	}
	return head, nil
}

func (b *body) digest() [32]byte { return [32]byte(b.sum.Sum(nil)) }

// Close gives the disk back.
func (b *body) Close() {
	clear(b.mem.Bytes())
	if b.file != nil {
		b.file.Close()
	}
}
