package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"postern/internal/vault"
)

// spoolChunk is how much of a spool is sealed, stored and opened at once.
const spoolChunk = 512 << 10

// Spool is room for bytes of an arrival that are too many to hold while it is
// opened, such as its plaintext. They are sealed chunk by chunk under a key
// that only it has, and gone before the transaction ends. One goroutine uses it.
type Spool struct {
	ctx    context.Context
	t      *tx
	id     string
	key    vault.Key
	chunks int    // stored
	tail   []byte // written, not stored
	n      int    // the chunk in buf; -1: none
	buf    []byte
}

// Format keeps key and text out of fmt's output.
func (s *Spool) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[spool]") }

// Spool makes one. It is good as long as the arrival.
func (a *Arrival) Spool(ctx context.Context) *Spool {
	s := &Spool{ctx: ctx, t: a.t, id: vault.NewID(), key: vault.NewKey(), n: -1}
	a.spools = append(a.spools, s.id)
	return s
}

func (s *Spool) aad(n int) vault.AAD { return s.t.db.aad("spool", "sealed", s.id, "", n+1) }

func (s *Spool) Write(p []byte) (int, error) {
	if s.tail == nil {
		s.tail = make([]byte, 0, spoolChunk)
	}
	done := 0
	for done < len(p) {
		k := copy(s.tail[len(s.tail):spoolChunk], p[done:])
		s.tail = s.tail[:len(s.tail)+k]
		done += k
		if len(s.tail) < spoolChunk {
			break
		}
		_, err := s.t.Exec(s.ctx, `INSERT INTO spool (id, n, sealed) VALUES ($1, $2, $3)`, s.id, s.chunks, s.key.Seal(s.aad(s.chunks), s.tail))
		if err != nil {
			return done, fmt.Errorf("keep a part of an arrival aside: %w", err)
		}
		s.chunks++
		s.tail = s.tail[:0]
	}
	return done, nil
}

// ReadAt reads what was written, wherever it is.
func (s *Spool) ReadAt(p []byte, at int64) (done int, err error) {
	for done < len(p) {
		n, from := int(at/spoolChunk), int(at%spoolChunk)
		part := s.tail
		if n < s.chunks {
			if part, err = s.chunk(n); err != nil {
				return done, err
			}
		}
		if n > s.chunks || from >= len(part) {
			return done, io.EOF
		}
		k := copy(p[done:], part[from:])
		done, at = done+k, at+int64(k)
	}
	return done, nil
}

func (s *Spool) chunk(n int) ([]byte, error) {
	if s.n == n {
		return s.buf, nil
	}
	var sealed []byte
	err := s.t.QueryRow(s.ctx, `SELECT sealed FROM spool WHERE id = $1 AND n = $2`, s.id, n).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, vault.ErrOpen
	}
	if err != nil {
		return nil, fmt.Errorf("read what was kept aside: %w", err)
	}
	if s.buf, err = s.key.Open(s.aad(n), sealed); err != nil {
		return nil, fmt.Errorf("open what was kept aside: %w", err)
	}
	s.n = n
	return s.buf, nil
}

// dropSpools forgets what was kept aside; the keys go with the arrival.
func (t *tx) dropSpools(ctx context.Context, a *Arrival) error {
	if len(a.spools) == 0 {
		return nil
	}
	if _, err := t.Exec(ctx, `DELETE FROM spool WHERE id = ANY($1)`, a.spools); err != nil {
		return fmt.Errorf("forget what was kept aside: %w", err)
	}
	a.spools = nil
	return nil
}
