package postgres

import (
	"errors"
	"testing"

	"postern/internal/disclosure"
)

// TestOldSlotsOpenNothing: a slot of a retired vault key is nobody else who
// could unlock.
func TestOldSlotsOpenNothing(t *testing.T) {
	w := newWorld(t)
	ctx, key := t.Context(), w.Vault().Public().ID()
	for _, do := range []string{
		`INSERT INTO public_key (id, kind, public, created, retired) VALUES ('old', 'vault', 'old', now(), now())`,
		`INSERT INTO vault_key (id, sealed_desk_key, created) VALUES ('old', 'old', now())`,
		`INSERT INTO vault_slot (id, key_id, kind, label, kdf, wrapped, created) VALUES ('old', 'old', 'passphrase', 'old', 'old', 'old', now())`,
	} {
		_, err := w.pool.Exec(ctx, do)
		w.must(err)
	}
	take := func() (n int, err error) {
		return n, w.transact(ctx, w.admin, func(t *tx) error {
			n, err = t.removeSlotsOf(ctx, w.tri.Member)
			return err
		})
	}
	_, err := w.pool.Exec(ctx, `UPDATE vault_slot SET member = $1 WHERE key_id = $2`, string(w.tri.Member), key)
	w.must(err)
	var refusal *disclosure.Refusal
	if n, err := take(); !errors.As(err, &refusal) {
		t.Errorf("removeSlotsOf who alone can unlock = %d, %v; want a refusal", n, err)
	}
	_, err = w.pool.Exec(ctx, `UPDATE vault_slot SET member = CASE WHEN key_id = 'old' THEN $1 END`, string(w.tri.Member))
	w.must(err)
	if n, err := take(); n != 1 || err != nil {
		t.Errorf("removeSlotsOf with an old slot alone = %d, %v; want 1", n, err)
	}
}
