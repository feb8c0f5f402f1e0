package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// OpenNow opens once more, while the caller waits, the arrival that an unopened
// message came with, and puts what open found in the place of what was there.
// What open was given to open it with is the caller's and is not stored. Where
// it does not open, nothing changes, and the error is a refusal that says why.
func (db *DB) OpenNow(ctx context.Context, by disclosure.Caller, id disclosure.MessageID, open func(context.Context, *Arrival) (Opened, error)) error {
	return db.withMessage(ctx, by, id, func(t *tx, c *disclosure.Case, m storedMessage) error {
		if m.Protection.Encryption != disclosure.Unopened {
			return disclosure.Refuse("passphrase", "This message was opened: what it says is there.")
		}
		a := &Arrival{t: t}
		var header, wrapped []byte
		// Work locks the arrival first and then the case: never wait for it here.
		err := t.QueryRow(ctx, `SELECT id, kind, channel, received, vault_key, header, wrapped_key FROM arrival
			WHERE id = $1 AND case_id = $2 AND opened IS NOT NULL FOR UPDATE SKIP LOCKED`, m.Arrival, c.ID).
			Scan(&a.ID, &a.Kind, &a.Channel, &a.Received, &a.meta.VaultKey, &header, &wrapped)
		if errors.Is(err, pgx.ErrNoRows) {
			return disclosure.Refuse("passphrase", "It is being opened just now. Look again in a moment.")
		}
		if err != nil {
			return fmt.Errorf("look for the arrival of message %s: %w", id, err)
		}
		a.Received = a.Received.UTC()
		a.meta = vault.ArrivalMeta{Instance: db.instance, ID: string(a.ID), Kind: string(a.Kind), Channel: string(a.Channel),
			VaultKey: a.meta.VaultKey, Received: a.Received}
		if a.key, err = t.keys[string(c.ID)].Unwrap(db.aad("arrival", "wrapped_key", string(a.ID), string(c.ID), 1), wrapped); err != nil {
			return fmt.Errorf("unwrap the key of arrival %s: %w", a.ID, err)
		}
		if err := t.readHeader(a, header); err != nil {
			return err
		}
		err = t.openAgain(ctx, a, c.ID, open)
		if errors.Is(err, errStill) {
			return disclosure.Refuse("passphrase", strings.TrimPrefix(err.Error(), errStill.Error()+": "))
		}
		return err
	})
}
