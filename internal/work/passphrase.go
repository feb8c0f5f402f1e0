package work

import (
	"context"
	"sync"

	"postern/internal/disclosure"
	"postern/internal/postgres"
)

// openingWith has one opening at a time: a passphrase may cost 64 MiB to try.
var openingWith sync.Mutex

// OpenWith opens an unopened message once more, with a passphrase that a member
// was told, before it returns. The passphrase is used this once: it is not
// stored, logged or sent anywhere. The errors are postgres.DB.OpenNow's, and
// vault.ErrLocked.
func (w *Work) OpenWith(ctx context.Context, by disclosure.Caller, id disclosure.MessageID, passphrase []byte) error {
	if len(passphrase) == 0 {
		return disclosure.Refuse("passphrase", "Type the passphrase.")
	}
	openingWith.Lock()
	defer openingWith.Unlock()
	ring, _, err := w.keys.get(ctx)
	if err != nil {
		return err
	}
	ring.Passphrase = passphrase
	return w.c.DB.OpenNow(ctx, by, id, func(ctx context.Context, a *postgres.Arrival) (postgres.Opened, error) {
		r := &reader{w: w, a: a, ring: ring}
		return r.open(ctx)
	})
}
