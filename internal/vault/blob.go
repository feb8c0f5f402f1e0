package vault

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A blob is a row of chunks. A random salt of 32 bytes stands before the first
// and, with the place, gives the blob a key of its own, so that writing a blob
// again never repeats a nonce. Each chunk is a count of data bytes (four
// bytes, big-endian), the data, and zeros up to its size: 64 KiB, except the
// last. The nonce is the chunk's number and, in its last byte, whether it is
// the last: chunks left out, moved, added or cut off do not open.
const (
	blobChunk = 64 << 10
	blobData  = blobChunk - 4
	saltSize  = 32

	// MaxBlobChunk is the most bytes a sealed chunk of a blob can have.
	MaxBlobChunk = saltSize + blobChunk + tagSize
)

var errBlobClosed = errors.New("write to a closed blob")

// SealBlob returns a writer that seals what is written to it for the place aad
// and gives the chunks to put, numbered from 0. put owns the slice. Close
// writes the last chunk; without it the blob does not open. After an error of
// put every further call returns it.
func (k Key) SealBlob(aad AAD, put func(n int, sealed []byte) error) io.WriteCloser {
	salt := random(saltSize)
	return &blobWriter{
		aead: k.blobKey(aad, salt).gcm(),
		salt: salt,
		put:  put,
		buf:  make([]byte, 0, blobData),
	}
}

func (k Key) blobKey(aad AAD, salt []byte) Key {
	return k.Derive("blob", aad.encode("blob"), salt)
}

func blobNonce(n int, final bool) []byte {
	nonce := make([]byte, nonceSize)
	binary.BigEndian.PutUint64(nonce[3:], uint64(n))
	if final {
		nonce[nonceSize-1] = 1
	}
	return nonce
}

type blobWriter struct {
	aead   cipher.AEAD
	salt   []byte
	put    func(n int, sealed []byte) error
	buf    []byte
	n      int
	closed bool
	err    error
}

// Format keeps the buffered plaintext out of fmt's output.
func (w *blobWriter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[blob]") }

func (w *blobWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.closed {
		return 0, errBlobClosed
	}
	written := 0
	for len(p) > 0 {
		// A full chunk waits for the next byte: it may be the last one.
		if len(w.buf) == blobData {
			if err := w.flush(blobChunk, false); err != nil {
				return written, err
			}
		}
		m := min(len(p), blobData-len(w.buf))
		w.buf = append(w.buf, p[:m]...)
		p = p[m:]
		written += m
	}
	return written, nil
}

// Close pads the blob to a bucket. Closing twice is harmless.
func (w *blobWriter) Close() error {
	if w.err != nil || w.closed {
		return w.err
	}
	w.closed = true
	before := w.n * blobChunk
	left := Bucket(before+4+len(w.buf), leastBody) - before
	for left > blobChunk {
		if err := w.flush(blobChunk, false); err != nil {
			return err
		}
		left -= blobChunk
	}
	return w.flush(left, true)
}

func (w *blobWriter) flush(size int, final bool) error {
	plain := make([]byte, size)
	binary.BigEndian.PutUint32(plain, uint32(len(w.buf)))
	copy(plain[4:], w.buf)
	clear(w.buf)
	w.buf = w.buf[:0]

	out := make([]byte, 0, saltSize+size+tagSize)
	if w.n == 0 {
		out = append(out, w.salt...)
	}
	out = w.aead.Seal(out, blobNonce(w.n, final), plain, nil)
	clear(plain)
	if err := w.put(w.n, out); err != nil {
		w.err = fmt.Errorf("store chunk %d of a blob: %w", w.n, err)
		return w.err
	}
	w.n++
	return nil
}

// OpenBlob returns a reader of the blob sealed for the place aad. next returns
// the numbered chunk, and [io.EOF] past the last; its other errors are passed
// on. Reading returns [ErrOpen] where a chunk is missing, moved, altered or
// added, and never a byte at or after the fault. Bytes before it may have been
// returned already: a caller that must have all or nothing reads to io.EOF
// first.
func (k Key) OpenBlob(aad AAD, next func(n int) ([]byte, error)) io.Reader {
	return &blobReader{key: k, aad: aad, next: next}
}

type blobReader struct {
	key   Key
	aad   AAD
	next  func(n int) ([]byte, error)
	aead  cipher.AEAD
	ahead []byte // chunk n, not yet opened
	n     int
	ready []byte
	err   error
}

// Format keeps key and plaintext out of fmt's output.
func (r *blobReader) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[blob]") }

func (r *blobReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.ready, r.err = r.chunk()
	}
	m := copy(p, r.ready)
	clear(r.ready[:m])
	r.ready = r.ready[m:]
	return m, nil
}

// chunk opens chunk n. It is the last one exactly if there is no further one.
// After the last it returns its data together with io.EOF.
func (r *blobReader) chunk() ([]byte, error) {
	if r.aead == nil {
		if err := r.start(); err != nil {
			return nil, err
		}
	}
	following, err := r.fetch(r.n + 1)
	final := errors.Is(err, io.EOF)
	if err != nil && !final {
		return nil, err
	}
	plain, err := r.aead.Open(nil, blobNonce(r.n, final), r.ahead, nil)
	if err != nil || len(plain) < 4 {
		return nil, ErrOpen
	}
	data := plain[4:]
	count := binary.BigEndian.Uint32(plain)
	if uint64(count) > uint64(len(data)) {
		return nil, ErrOpen
	}
	r.ahead, r.n = following, r.n+1
	if final {
		return data[:count], io.EOF
	}
	return data[:count], nil
}

func (r *blobReader) start() error {
	first, err := r.fetch(0)
	if errors.Is(err, io.EOF) {
		return ErrOpen
	}
	if err != nil {
		return err
	}
	if len(first) < saltSize {
		return ErrOpen
	}
	r.aead = r.key.blobKey(r.aad, first[:saltSize]).gcm()
	r.ahead = first[saltSize:]
	return nil
}

func (r *blobReader) fetch(n int) ([]byte, error) {
	b, err := r.next(n)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read chunk %d of a blob: %w", n, err)
	}
	return b, err
}
