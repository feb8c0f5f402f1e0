package postgres

import (
	"encoding/json"
	"fmt"

	"postern/internal/vault"
)

// aad says where sealed bytes stand. owner is the case's or release's id, empty
// under the desk key.
func (db *DB) aad(table, column, row, owner string, version int) vault.AAD {
	return vault.AAD{Instance: db.instance, Table: table, Column: column, Row: row, Owner: owner, Version: version}
}

// deskKey fails with vault.ErrLocked.
func (db *DB) deskKey() (vault.Key, error) {
	v := db.vault.Load()
	if v == nil {
		return vault.Key{}, vault.ErrLocked
	}
	return v.DeskKey()
}

func sealJSON(k vault.Key, aad vault.AAD, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write %s.%s: %w", aad.Table, aad.Column, err)
	}
	return k.Seal(aad, b), nil
}

func openJSON(k vault.Key, aad vault.AAD, sealed []byte, v any) error {
	b, err := k.Open(aad, sealed)
	if err != nil {
		return fmt.Errorf("open %s.%s of %s: %w", aad.Table, aad.Column, aad.Row, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s.%s of %s: %w", aad.Table, aad.Column, aad.Row, err)
	}
	return nil
}

// newOwnerKey makes a case's or release's key and wraps it under the desk key.
func (db *DB) newOwnerKey(table, id string) (vault.Key, []byte, error) {
	desk, err := db.deskKey()
	if err != nil {
		return vault.Key{}, nil, err
	}
	k := vault.NewKey()
	return k, desk.Wrap(db.aad(table, "wrapped_key", id, "", 1), k), nil
}

func (db *DB) openOwnerKey(table, id string, wrapped []byte, version int) (vault.Key, error) {
	desk, err := db.deskKey()
	if err != nil {
		return vault.Key{}, err
	}
	k, err := desk.Unwrap(db.aad(table, "wrapped_key", id, "", version), wrapped)
	if err != nil {
		return vault.Key{}, fmt.Errorf("unwrap the key of %s %s: %w", table, id, err)
	}
	return k, nil
}
