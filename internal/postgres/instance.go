package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// loadInstance reads who this database belongs to, how far time was moved, and
// the vault, locked.
func (db *DB) loadInstance(ctx context.Context) error {
	var moved time.Duration
	err := db.pool.QueryRow(ctx, `SELECT id, moved FROM instance`).Scan(&db.instance, &moved)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the instance: %w", unavailable(err))
	}
	db.moved.Store(int64(moved))
	var rec vault.Record
	err = db.pool.QueryRow(ctx, `SELECT k.id, p.public, k.sealed_desk_key, k.created
		FROM vault_key k JOIN public_key p ON p.id = k.id WHERE p.retired IS NULL`).
		Scan(&rec.KeyID, &rec.Public, &rec.SealedDeskKey, &rec.Created)
	if err != nil {
		return fmt.Errorf("read the vault: %w", unavailable(notFound(err)))
	}
	slots, err := db.slots(ctx, rec.KeyID)
	if err != nil {
		return err
	}
	v, err := vault.Load(db.instance, rec, slots)
	if err != nil {
		return fmt.Errorf("load the vault: %w", err)
	}
	db.vault.Store(v)
	return nil
}

func (db *DB) slots(ctx context.Context, keyID string) ([]vault.Slot, error) {
	rows, err := db.pool.Query(ctx, `SELECT id, key_id, kind, label, coalesce(member, ''), kdf, wrapped, created
		FROM vault_slot WHERE key_id = $1 ORDER BY created, id`, keyID)
	if err != nil {
		return nil, fmt.Errorf("read the vault's slots: %w", unavailable(err))
	}
	slots, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (s vault.Slot, err error) {
		err = r.Scan(&s.ID, &s.KeyID, &s.Kind, &s.Label, &s.Member, &s.KDF, &s.Wrapped, &s.Created)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the vault's slots: %w", unavailable(err))
	}
	return slots, nil
}

// NewInstance is all that a database needs to belong to somebody.
type NewInstance struct {
	ID     vault.InstanceID
	Record vault.Record
	Slots  []vault.Slot
	Vault  *vault.Vault // unlocked
	Demo   bool
	// Moved is how far the program's time is from wall time at first; a demo
	// begins in its past, so that its sample has a history. Zero without Demo.
	Moved time.Duration
}

// Setup makes the database an instance's, once; a second call is refused.
func (db *DB) Setup(ctx context.Context, by disclosure.Caller, n NewInstance) error {
	if !n.Demo {
		n.Moved = 0
	}
	err := db.transact(ctx, by, func(t *tx) error {
		var system string
		var timeline int64
		err := t.QueryRow(ctx, `SELECT system_identifier::text, (SELECT timeline_id FROM pg_control_checkpoint())
			FROM pg_control_system()`).Scan(&system, &timeline)
		if err != nil {
			return fmt.Errorf("ask which cluster this is: %w", err)
		}
		tag, err := t.Exec(ctx, `INSERT INTO instance (id, created, demo, system_identifier, timeline, last_seen, moved)
			VALUES ($1, $2, $3, $4, $5, $2, $6) ON CONFLICT DO NOTHING`, n.ID, t.now, n.Demo, system, timeline, n.Moved)
		if err != nil {
			return fmt.Errorf("note the instance: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return disclosure.Refuse("", "This database already belongs to an instance.")
		}
		batch := &pgx.Batch{}
		batch.Queue(`INSERT INTO public_key (id, kind, public, created) VALUES ($1, 'vault', $2, $3)`,
			n.Record.KeyID, n.Record.Public, n.Record.Created)
		batch.Queue(`INSERT INTO vault_key (id, sealed_desk_key, created) VALUES ($1, $2, $3)`,
			n.Record.KeyID, n.Record.SealedDeskKey, n.Record.Created)
		for _, s := range n.Slots {
			batch.Queue(`INSERT INTO vault_slot (id, key_id, kind, label, kdf, wrapped, created)
				VALUES ($1, $2, $3, $4, $5, $6, $7)`, s.ID, s.KeyID, s.Kind, s.Label, s.KDF, s.Wrapped, s.Created)
		}
		batch.Queue(`INSERT INTO edition (number, instance, changed) VALUES (0, $1, $2)`, n.ID, t.now)
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("store the vault: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	db.instance = n.ID
	db.moved.Store(int64(n.Moved))
	db.vault.Store(n.Vault)
	return nil
}

// IsDemo reports whether the instance was made as a demo's or a test's;
// disclosure.ErrNotFound when the database belongs to nobody yet.
func (db *DB) IsDemo(ctx context.Context) (demo bool, err error) {
	if err := db.pool.QueryRow(ctx, `SELECT demo FROM instance`).Scan(&demo); err != nil {
		return false, fmt.Errorf("ask whether this is a demo: %w", unavailable(notFound(err)))
	}
	return demo, nil
}
