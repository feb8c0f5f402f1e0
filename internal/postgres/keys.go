package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// TeamKey is the team's certificate with its secret half.
type TeamKey struct {
	Fingerprint string
	Certificate []byte // binary
	Secret      []byte // binary transferable secret key
	Created     time.Time
	Retired     time.Time // zero: current
}

// Format keeps the secret out of fmt's output.
func (k TeamKey) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "[team key "+k.Fingerprint+"]")
}

// PublicKey is a key the gate may know of.
type PublicKey struct {
	ID      string // vault key id, or the certificate's fingerprint
	Kind    string // "vault", "team"
	Public  []byte
	Created time.Time
	Retired time.Time // zero: current
}

// Slots lists what opens the vault, oldest first. Admins only.
func (db *DB) Slots(ctx context.Context, by disclosure.Caller) ([]vault.Slot, error) {
	if !by.Can(disclosure.Admin) {
		return nil, disclosure.ErrForbidden
	}
	v := db.vault.Load()
	if v == nil {
		return nil, vault.ErrLocked
	}
	return db.slots(ctx, v.Public().ID())
}

// Holder is whose a slot is.
type Holder struct {
	Member disclosure.MemberID // empty: nobody's of the team, such as a phrase in a safe
	Label  string              // empty: the member's name
}

// AddSlot wraps the vault's private half under one more secret and stores it.
// It needs an unlocked vault and a fresh second factor.
func (db *DB) AddSlot(ctx context.Context, by disclosure.Caller, kind vault.SlotKind, h Holder, secret string, cost vault.Cost) (vault.Slot, error) {
	if err := db.mayAdminister(by); err != nil {
		return vault.Slot{}, err
	}
	v := db.vault.Load()
	if v == nil {
		return vault.Slot{}, vault.ErrLocked
	}
	h, err := db.holder(ctx, db.pool, h)
	if err != nil {
		return vault.Slot{}, err
	}
	s, err := v.AddSlot(kind, h.Label, secret, db.Now(), cost)
	if err != nil {
		return vault.Slot{}, err
	}
	s.Member = string(h.Member)
	err = db.transact(ctx, by, func(t *tx) error {
		if _, err := db.holder(ctx, t, h); err != nil { // locked now: still here
			return err
		}
		_, err := t.Exec(ctx, `INSERT INTO vault_slot (id, key_id, kind, label, member, kdf, wrapped, created)
			VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8)`, s.ID, s.KeyID, s.Kind, s.Label, s.Member, s.KDF, s.Wrapped, s.Created)
		if err != nil {
			return fmt.Errorf("store the slot: %w", err)
		}
		t.note("vault.slot-added", s.ID, map[string]string{"label": s.Label, "kind": string(s.Kind)})
		return nil
	})
	if err != nil {
		_ = db.Reload(context.WithoutCancel(ctx)) // forget the slot that was not stored
		return vault.Slot{}, err
	}
	db.reloadAfter(ctx) // with whose it is
	return s, nil
}

// holder looks whether a slot can be somebody's, and names it after them. In a
// transaction the member stays as they are until its end.
func (db *DB) holder(ctx context.Context, q queryer, h Holder) (Holder, error) {
	if h.Member == "" {
		return h, nil
	}
	ask := `SELECT name FROM member WHERE id = $1 AND disabled IS NULL`
	if _, inside := q.(*tx); inside {
		ask += ` FOR SHARE`
	}
	var name string
	err := q.QueryRow(ctx, ask, string(h.Member)).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, disclosure.Refuse("member", "Choose a member who is not disabled.")
	}
	if err != nil {
		return h, fmt.Errorf("look for a slot's holder: %w", unavailable(err))
	}
	if h.Label == "" {
		h.Label = name
	}
	return h, nil
}

// GiveSlot says whose a slot is: it goes when they are disabled.
func (db *DB) GiveSlot(ctx context.Context, by disclosure.Caller, id string, member disclosure.MemberID) error {
	if err := db.mayAdminister(by); err != nil {
		return err
	}
	err := db.transact(ctx, by, func(t *tx) error {
		if _, err := db.holder(ctx, t, Holder{Member: member}); err != nil {
			return err
		}
		tag, err := t.Exec(ctx, `UPDATE vault_slot SET member = nullif($2, '') WHERE id = $1`, id, string(member))
		if err != nil {
			return fmt.Errorf("say whose a slot is: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return disclosure.ErrNotFound
		}
		t.note("vault.slot-given", id, map[string]string{"member": string(member)})
		return nil
	})
	if err != nil {
		return err
	}
	db.reloadAfter(ctx)
	return nil
}

// Unlock opens the vault with a secret of a slot that is still there: another
// process may have removed one since. A wrong one is vault.ErrWrongSecret.
func (db *DB) Unlock(ctx context.Context, secret string) error {
	if err := db.Reload(ctx); err != nil {
		return err
	}
	v := db.vault.Load()
	if v == nil {
		return disclosure.ErrNotFound
	}
	_, err := v.Unlock(secret)
	return err
}

// removeSlotsOf takes away what a member opens the vault with. It says how
// many slots went; where nothing would be left that opens the current vault it
// refuses: a retired key's slots open nothing.
func (t *tx) removeSlotsOf(ctx context.Context, member disclosure.MemberID) (int, error) {
	rows, err := t.Query(ctx, `SELECT id, coalesce(member, '') = $1,
		key_id IN (SELECT id FROM public_key WHERE kind = 'vault' AND retired IS NULL) FROM vault_slot ORDER BY id FOR UPDATE`, string(member))
	if err != nil {
		return 0, fmt.Errorf("lock the slots: %w", err)
	}
	var theirs []string
	taken, left := 0, 0 // of the current key
	var id string
	var own, current bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &own, &current}, func() error {
		if own {
			theirs = append(theirs, id)
		}
		if own && current {
			taken++
		} else if current {
			left++
		}
		return nil
	}); err != nil {
		return 0, fmt.Errorf("lock the slots: %w", err)
	}
	switch {
	case len(theirs) == 0:
		return 0, nil
	case taken > 0 && left == 0:
		return 0, disclosure.Refuse("", "Nobody else can unlock the vault. Add a slot for another member first.")
	}
	if _, err := t.Exec(ctx, `DELETE FROM vault_slot WHERE id = ANY($1)`, theirs); err != nil {
		return 0, fmt.Errorf("remove the member's slots: %w", err)
	}
	for _, id := range theirs {
		t.note("vault.slot-removed", id, map[string]string{"member": string(member)})
	}
	return len(theirs), nil
}

// RemoveSlot removes one; the last one is refused with vault.ErrLastSlot.
func (db *DB) RemoveSlot(ctx context.Context, by disclosure.Caller, id string) error {
	if err := db.mayAdminister(by); err != nil {
		return err
	}
	err := db.transact(ctx, by, func(t *tx) error {
		// Two removals at once must not leave none: both wait here.
		rows, err := t.Query(ctx, `SELECT id FROM vault_slot WHERE key_id =
			(SELECT key_id FROM vault_slot WHERE id = $1) ORDER BY id FOR UPDATE`, id)
		if err != nil {
			return fmt.Errorf("lock the slots: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		switch {
		case err != nil:
			return fmt.Errorf("lock the slots: %w", err)
		case len(ids) == 0:
			return disclosure.ErrNotFound
		case len(ids) == 1:
			return vault.ErrLastSlot
		}
		if _, err := t.Exec(ctx, `DELETE FROM vault_slot WHERE id = $1`, id); err != nil {
			return fmt.Errorf("remove the slot: %w", err)
		}
		t.note("vault.slot-removed", id, nil)
		return nil
	})
	if err != nil {
		return err
	}
	db.reloadAfter(ctx)
	return nil
}

// reloadAfter is Reload for what is stored already: failing would tell the
// caller that it is not. Unlock and every process read the slots again.
func (db *DB) reloadAfter(ctx context.Context) {
	if err := db.Reload(context.WithoutCancel(ctx)); err != nil {
		db.log.Warn("the vault's slots were changed and could not be read again", "error", err)
	}
}

// Reload reads the slots and the moved time anew: another process may have
// changed them. The vault stays as unlocked as it was.
func (db *DB) Reload(ctx context.Context) error {
	v := db.vault.Load()
	if v == nil {
		return db.loadInstance(ctx)
	}
	slots, err := db.slots(ctx, v.Public().ID())
	if err != nil {
		return err
	}
	var moved time.Duration
	if err := db.pool.QueryRow(ctx, `SELECT moved FROM instance`).Scan(&moved); err != nil {
		return fmt.Errorf("read the instance: %w", unavailable(notFound(err)))
	}
	db.moved.Store(int64(moved))
	return v.SetSlots(slots)
}

// StoreTeamKey keeps the team's certificate and secret, and makes it the
// current one. The same fingerprint again replaces both (new subkeys); another
// one retires the key before, which is kept for opening.
func (db *DB) StoreTeamKey(ctx context.Context, by disclosure.Caller, fingerprint string, certificate, secret []byte) error {
	if !by.Can(disclosure.Admin) {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error {
		desk, err := db.deskKey()
		if err != nil {
			return err
		}
		sealed := desk.Seal(db.aad("team_key", "sealed", fingerprint, "", 1), secret)
		batch := &pgx.Batch{}
		batch.Queue(`UPDATE public_key SET retired = $2 WHERE kind = 'team' AND retired IS NULL AND id <> $1`, fingerprint, t.now)
		batch.Queue(`UPDATE team_key SET retired = $2 WHERE retired IS NULL AND fingerprint <> $1`, fingerprint, t.now)
		batch.Queue(`INSERT INTO public_key (id, kind, public, created) VALUES ($1, 'team', $2, $3)
			ON CONFLICT (id) DO UPDATE SET public = excluded.public, retired = NULL`, fingerprint, certificate, t.now)
		batch.Queue(`INSERT INTO team_key (fingerprint, sealed, created) VALUES ($1, $2, $3)
			ON CONFLICT (fingerprint) DO UPDATE SET sealed = excluded.sealed, retired = NULL`, fingerprint, sealed, t.now)
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("store the team's key: %w", err)
		}
		if err := t.tryAllAgain(ctx); err != nil {
			return err
		}
		t.note("key.stored", fingerprint, nil)
		return t.notify(ctx, ChannelEdition)
	})
}

// RetireTeamKey stops a key from being the current one; it goes on opening.
func (db *DB) RetireTeamKey(ctx context.Context, by disclosure.Caller, fingerprint string) error {
	if !by.Can(disclosure.Admin) {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error {
		tag, err := t.Exec(ctx, `UPDATE team_key SET retired = $2 WHERE fingerprint = $1 AND retired IS NULL`, fingerprint, t.now)
		if err != nil {
			return fmt.Errorf("retire the team's key: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return disclosure.ErrNotFound
		}
		if _, err := t.Exec(ctx, `UPDATE public_key SET retired = $2 WHERE id = $1`, fingerprint, t.now); err != nil {
			return fmt.Errorf("retire the team's certificate: %w", err)
		}
		t.note("key.retired", fingerprint, nil)
		return t.notify(ctx, ChannelEdition)
	})
}

// TeamKeys returns the team's keys with their secrets, the current one first.
// It needs an unlocked vault, and a caller who may open reports.
func (db *DB) TeamKeys(ctx context.Context, by disclosure.Caller) ([]TeamKey, error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	desk, err := db.deskKey()
	if err != nil {
		return nil, err
	}
	rows, err := db.pool.Query(ctx, `SELECT k.fingerprint, p.public, k.sealed, k.created, k.retired
		FROM team_key k JOIN public_key p ON p.id = k.fingerprint
		ORDER BY k.retired IS NOT NULL, k.created DESC, k.fingerprint`)
	if err != nil {
		return nil, fmt.Errorf("read the team's keys: %w", unavailable(err))
	}
	keys, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (k TeamKey, err error) {
		var sealed []byte
		var retired *time.Time
		if err := r.Scan(&k.Fingerprint, &k.Certificate, &sealed, &k.Created, &retired); err != nil {
			return k, err
		}
		k.Retired = timeOf(retired)
		k.Secret, err = desk.Open(db.aad("team_key", "sealed", k.Fingerprint, "", 1), sealed)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the team's keys: %w", unavailable(err))
	}
	return keys, nil
}

// PublicKeys returns the vault's public half and the team's certificates,
// retired ones too; the current ones first. It needs no unlocked vault.
func (db *DB) PublicKeys(ctx context.Context) ([]PublicKey, error) {
	rows, err := db.pool.Query(ctx, `SELECT id, kind, public, created, retired FROM public_key
		ORDER BY retired IS NOT NULL, created DESC, id`)
	if err != nil {
		return nil, fmt.Errorf("read the public keys: %w", unavailable(err))
	}
	keys, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (k PublicKey, err error) {
		var retired *time.Time
		err = r.Scan(&k.ID, &k.Kind, &k.Public, &k.Created, &retired)
		k.Retired = timeOf(retired)
		return k, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the public keys: %w", unavailable(err))
	}
	return keys, nil
}

// mayOpen: who may read what is sealed about cases at all.
func mayOpen(by disclosure.Caller) bool {
	return by.Can(disclosure.Triager) || by.Can(disclosure.Releaser) || by.Can(disclosure.Admin)
}

// timeOf and orNull translate between a nullable column and a zero time.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
