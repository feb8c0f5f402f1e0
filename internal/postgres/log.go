package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// entry is one row for the log, not yet chained.
type entry struct {
	kind, object string
	payload      any
}

// note gathers a row for the log. kind and object stand in the open: object is
// an id and never a title; the payload is sealed.
func (t *tx) note(kind, object string, payload any) {
	t.log = append(t.log, entry{kind, object, payload})
}

// ReadsOnce is how long one member's repeated opening of one object makes no
// second row.
const ReadsOnce = 10 * time.Minute

// opened notes that the caller read sealed text: one row at most per member,
// object and ten minutes. Work's own reading is not noted.
func (t *tx) opened(ctx context.Context, kind, object string) error {
	if t.by.IsSystem() {
		return nil
	}
	var seen bool
	err := t.QueryRow(ctx, `SELECT EXISTS (SELECT FROM log WHERE member = $1 AND object = $2 AND type = $3 AND at > $4)`,
		t.by.Member, object, kind, t.now.Add(-ReadsOnce)).Scan(&seen)
	if err != nil {
		return fmt.Errorf("look for an earlier reading: %w", err)
	}
	if !seen {
		t.note(kind, object, nil)
	}
	return nil
}

// appendLog chains and writes what was gathered. While the vault is locked the
// payload is sealed to the vault pair, else under the desk key.
func (t *tx) appendLog(ctx context.Context) error {
	if len(t.log) == 0 {
		return nil
	}
	// Seal before locking the head: the head is held for the commit alone.
	sealed := make([][]byte, len(t.log))
	v := t.db.vault.Load()
	desk, err := t.db.deskKey()
	toVault := err != nil
	for i, e := range t.log {
		payload, err := json.Marshal(e.payload)
		if err != nil {
			return fmt.Errorf("write the log's payload: %w", err)
		}
		switch {
		case v == nil: // an instance being made has no vault yet
			sealed[i] = nil
		case toVault:
			if sealed[i], err = v.Public().Seal(t.db.logInfo(e), payload); err != nil {
				return fmt.Errorf("seal the log's payload: %w", err)
			}
		default:
			sealed[i] = desk.Seal(t.db.aad("log", "sealed", e.object, e.kind, 1), payload)
		}
		if sealed[i] == nil {
			sealed[i] = []byte{}
		}
	}
	var n int64
	var prev []byte
	if err := t.QueryRow(ctx, `SELECT n, hash FROM log_head FOR UPDATE`).Scan(&n, &prev); err != nil {
		return fmt.Errorf("lock the log's head: %w", err)
	}
	batch := &pgx.Batch{}
	for i, e := range t.log {
		n++
		hash := chain(prev, n, t.now, t.by.Name, string(t.by.Member), e.kind, e.object, toVault, sealed[i])
		batch.Queue(`INSERT INTO log (n, at, actor, member, type, object, vault, sealed, prev, hash)
			VALUES ($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, $9, $10)`,
			n, t.now, t.by.Name, t.by.Member, e.kind, e.object, toVault, sealed[i], prev, hash)
		prev = hash
	}
	batch.Queue(`UPDATE log_head SET n = $1, hash = $2`, n, prev)
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("append to the log: %w", err)
	}
	return nil
}

func (db *DB) logInfo(e entry) string {
	return "postern/v1 log " + string(db.instance) + " " + e.kind + " " + e.object
}

// chain is the hash of one row: over the row before, every plain column and
// the ciphertext, each with its length.
func chain(prev []byte, n int64, at time.Time, actor, member, kind, object string, toVault bool, sealed []byte) []byte {
	h := sha256.New()
	part := func(b []byte) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	part([]byte("postern/v1 log"))
	part(prev)
	part(binary.BigEndian.AppendUint64(nil, uint64(n)))
	part(binary.BigEndian.AppendUint64(nil, uint64(at.UTC().UnixMicro())))
	for _, s := range []string{actor, member, kind, object} {
		part([]byte(s))
	}
	if toVault {
		part([]byte{1})
	} else {
		part([]byte{0})
	}
	part(sealed)
	return h.Sum(nil)
}
