package gate

import (
	"crypto/sha256"
	"hash"

	"postern/internal/vault"
)

// errNoRoom: the spool's disk is full or gone. To the sender it is the same as
// a database that does not answer: nothing was stored.
var errNoRoom = vault.ErrSpool

// body collects what came, in the order it came, while hashing it.
type body struct {
	*vault.Spool
	sum hash.Hash
}

func newBody(dir string) *body { return &body{vault.NewSpool(dir), sha256.New()} }

// expect makes room for as many bytes as are said to come, if they are few: who
// says so may never send them. -1: not said.
func (b *body) expect(n int64) { b.Grow(int(min(max(n, 0), smallBody))) }

func (b *body) Write(p []byte) (int, error) {
	n, err := b.Spool.Write(p)
	b.sum.Write(p[:n])
	return n, err
}

func (b *body) digest() [32]byte { return [32]byte(b.sum.Sum(nil)) }
