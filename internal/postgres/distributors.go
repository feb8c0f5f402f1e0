package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// distributorBody is distributor.sealed, under the desk key.
type distributorBody struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Group   string `json:"group,omitempty"`
	ClearOK string `json:"clear_ok,omitempty"`
	Note    string `json:"note,omitempty"`
	Why     string `json:"why,omitempty"` // of the revocation
}

// distributorKey is distributor_key.sealed, under the desk key. It names whose
// it is, so that a row moved to another distributor is seen.
type distributorKey struct {
	Distributor disclosure.DistributorID `json:"distributor"`
	Fingerprint string                   `json:"fingerprint"`
	Certificate []byte                   `json:"certificate"`
	AddedBy     string                   `json:"added_by"`
}

func (db *DB) directoryAAD(id disclosure.DistributorID) vault.AAD {
	return db.aad("distributor", "sealed", string(id), "", 1)
}

func (db *DB) openKey(desk vault.Key, whose disclosure.DistributorID, id string, sealed []byte) (distributorKey, error) {
	var k distributorKey
	if err := openJSON(desk, db.aad("distributor_key", "sealed", id, "", 1), sealed, &k); err != nil {
		return k, err
	}
	if k.Distributor != whose {
		return k, fmt.Errorf("key %s belongs to another distributor", id)
	}
	return k, nil
}

// openRecipient makes a recipient of what the directory holds. ever counts all
// keys there were: who enrolled with a key never gets clear text.
func (db *DB) openRecipient(desk vault.Key, id disclosure.DistributorID, sealed []byte, keyIDs []string, keys [][]byte, ever int) (disclosure.Recipient, error) {
	var b distributorBody
	if err := openJSON(desk, db.directoryAAD(id), sealed, &b); err != nil {
		return disclosure.Recipient{}, err
	}
	r := disclosure.Recipient{Distributor: id, Name: b.Name, Address: b.Address, ClearText: ever == 0 && b.ClearOK != ""}
	opened := make([]distributorKey, len(keys))
	for i := range keys {
		k, err := db.openKey(desk, id, keyIDs[i], keys[i])
		if err != nil {
			return r, err
		}
		opened[i] = k
	}
	slices.SortFunc(opened, func(a, b distributorKey) int { return cmp.Compare(a.Fingerprint, b.Fingerprint) })
	for _, k := range opened {
		r.Keys, r.Prints = append(r.Keys, k.Certificate), append(r.Prints, k.Fingerprint)
	}
	return r, nil
}

// distributorRecipients are all on the list, or the one that is named.
func (t *tx) distributorRecipients(ctx context.Context, one disclosure.DistributorID) ([]disclosure.Recipient, error) {
	desk, err := t.db.deskKey()
	if err != nil {
		return nil, err
	}
	rows, err := t.Query(ctx, `SELECT x.id, x.sealed, (SELECT count(*) FROM distributor_key k WHERE k.distributor = x.id),
			ARRAY(SELECT k.sealed FROM distributor_key k WHERE k.distributor = x.id AND k.removed IS NULL ORDER BY k.id),
			ARRAY(SELECT k.id FROM distributor_key k WHERE k.distributor = x.id AND k.removed IS NULL ORDER BY k.id)
		FROM distributor x WHERE x.revoked IS NULL AND ($1 = '' OR x.id = $1) ORDER BY x.id`, string(one))
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (disclosure.Recipient, error) {
		var id disclosure.DistributorID
		var sealed []byte
		var keys [][]byte
		var ids []string
		var ever int
		if err := row.Scan(&id, &sealed, &ever, &keys, &ids); err != nil {
			return disclosure.Recipient{}, err
		}
		return t.db.openRecipient(desk, id, sealed, ids, keys, ever)
	})
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	slices.SortFunc(list, byName)
	return list, nil
}

var fingerprintForm = regexp.MustCompile(`^([0-9A-F]{40}|[0-9A-F]{64})$`)

func checkDistributor(d disclosure.Distributor) error {
	var refusal *disclosure.Refusal
	if strings.TrimSpace(d.Name) == "" || strings.ContainsAny(d.Name, "\r\n") {
		refusal = refusal.Add("name", "Give the distributor's name, in one line.")
	}
	if a, err := mail.ParseAddress(d.Address); err != nil || a.Address != d.Address || strings.ContainsAny(d.Address, "\r\n<> ") {
		refusal = refusal.Add("address", "Give one mail address, such as security@example.org.")
	}
	return refusal.Err()
}

func checkKey(fingerprint string, certificate []byte) error {
	var refusal *disclosure.Refusal
	if !fingerprintForm.MatchString(fingerprint) {
		refusal = refusal.Add("key", "A fingerprint has 40 or 64 hexadecimal digits.")
	}
	if len(certificate) == 0 || len(certificate) > 1<<20 {
		refusal = refusal.Add("key", "This is no certificate.")
	}
	return refusal.Err()
}

// Enroll puts a distributor on the private list. Every key's Fingerprint and
// Certificate are the caller's to have checked. Notices approved and not yet
// sent lose their approval: nobody gets one unseen. Only an admin may.
func (db *DB) Enroll(ctx context.Context, by disclosure.Caller, d disclosure.Distributor) (disclosure.DistributorID, error) {
	d.ID = disclosure.DistributorID(disclosure.NewID())
	d.Name, d.Address = strings.TrimSpace(d.Name), strings.TrimSpace(d.Address)
	errs := []error{checkDistributor(d)}
	for _, k := range d.Keys {
		errs = append(errs, checkKey(normal(k.Fingerprint), k.Certificate))
	}
	if err := errors.Join(errs...); err != nil {
		return "", firstRefusal(errs)
	}
	err := db.changeDirectory(ctx, by, d.ID, "enrolled", func(t *tx, desk vault.Key) error {
		if d.ClearOK != "" {
			d.ClearOK = by.Name // on record: who accepted it
		}
		sealed, err := sealJSON(desk, db.directoryAAD(d.ID), distributorBody{Name: d.Name, Address: d.Address, Group: d.Group, ClearOK: d.ClearOK, Note: d.Note})
		if err != nil {
			return err
		}
		if _, err := t.Exec(ctx, `INSERT INTO distributor (id, enrolled, sealed) VALUES ($1, $2, $3)`, d.ID, t.now, sealed); err != nil {
			return fmt.Errorf("enroll a distributor: %w", err)
		}
		for _, k := range d.Keys {
			if err := t.insertKey(ctx, desk, d.ID, k.Fingerprint, k.Certificate); err != nil {
				return err
			}
		}
		return nil
	})
	return d.ID, err
}

// firstRefusal puts all faults into one refusal.
func firstRefusal(errs []error) error {
	var all disclosure.Refusal
	for _, err := range errs {
		var r *disclosure.Refusal
		if errors.As(err, &r) {
			all.Faults = append(all.Faults, r.Faults...)
		}
	}
	return all.Err()
}

func normal(fingerprint string) string {
	return strings.ToUpper(strings.ReplaceAll(fingerprint, " ", ""))
}

func (t *tx) insertKey(ctx context.Context, desk vault.Key, whose disclosure.DistributorID, fingerprint string, certificate []byte) error {
	id := disclosure.NewID()
	sealed, err := sealJSON(desk, t.db.aad("distributor_key", "sealed", id, "", 1),
		distributorKey{Distributor: whose, Fingerprint: normal(fingerprint), Certificate: certificate, AddedBy: t.by.Name})
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `INSERT INTO distributor_key (id, distributor, added, sealed) VALUES ($1, $2, $3, $4)`, id, whose, t.now, sealed)
	if err != nil {
		return fmt.Errorf("register a key: %w", err)
	}
	return nil
}

// EditDistributor lets change set name, address, group, note and ClearOK (which
// becomes the caller's name when it is set anew); the rest is not kept. version is of what was shown: disclosure.ErrStale when
// somebody changed it meanwhile.
func (db *DB) EditDistributor(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, version int, change func(*disclosure.Distributor) error) error {
	return db.changeDirectory(ctx, by, id, "edited", func(t *tx, desk vault.Key) error {
		d, err := t.loadDistributor(ctx, desk, id)
		if err != nil {
			return err
		}
		if d.Version != version {
			return disclosure.ErrStale
		}
		if err := mustBeListed(d); err != nil {
			return err
		}
		accepted := d.ClearOK
		if err := change(&d); err != nil {
			return err
		}
		if d.ClearOK != "" && d.ClearOK != accepted {
			d.ClearOK = by.Name // on record: who accepted it
		}
		d.Name, d.Address = strings.TrimSpace(d.Name), strings.TrimSpace(d.Address)
		if err := checkDistributor(d); err != nil {
			return err
		}
		return t.saveDistributor(ctx, desk, d, "")
	})
}

func mustBeListed(d disclosure.Distributor) error {
	if !d.Revoked.IsZero() {
		return disclosure.Refuse("", "This distributor was revoked. Enroll them again.")
	}
	return nil
}

func (t *tx) saveDistributor(ctx context.Context, desk vault.Key, d disclosure.Distributor, why string) error {
	sealed, err := sealJSON(desk, t.db.directoryAAD(d.ID),
		distributorBody{Name: d.Name, Address: d.Address, Group: d.Group, ClearOK: d.ClearOK, Note: d.Note, Why: why})
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `UPDATE distributor SET sealed = $2, revoked = $3, version = version + 1 WHERE id = $1`, d.ID, sealed, orNull(d.Revoked))
	if err != nil {
		return fmt.Errorf("save distributor %s: %w", d.ID, err)
	}
	return nil
}

// AddKey registers one more key of a distributor.
func (db *DB) AddKey(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, fingerprint string, certificate []byte) error {
	if err := checkKey(normal(fingerprint), certificate); err != nil {
		return err
	}
	return db.changeDirectory(ctx, by, id, "key-added", func(t *tx, desk vault.Key) error {
		d, err := t.loadDistributor(ctx, desk, id)
		if err != nil {
			return err
		}
		if err := mustBeListed(d); err != nil {
			return err
		}
		if slices.ContainsFunc(d.Keys, func(k disclosure.RecipientKey) bool { return k.Fingerprint == normal(fingerprint) }) {
			return disclosure.Refuse("key", "This key is registered already.")
		}
		if err := t.insertKey(ctx, desk, id, fingerprint, certificate); err != nil {
			return err
		}
		return t.saveDistributor(ctx, desk, d, "")
	})
}

// RemoveKey takes a key away; the next mail is not encrypted to it.
func (db *DB) RemoveKey(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, fingerprint string) error {
	return db.changeDirectory(ctx, by, id, "key-removed", func(t *tx, desk vault.Key) error {
		d, err := t.loadDistributor(ctx, desk, id)
		if err != nil {
			return err
		}
		rows, err := t.Query(ctx, `SELECT id, sealed FROM distributor_key WHERE distributor = $1 AND removed IS NULL`, id)
		if err != nil {
			return fmt.Errorf("read the keys of distributor %s: %w", id, err)
		}
		var row string
		var sealed []byte
		var found []string
		_, err = pgx.ForEachRow(rows, []any{&row, &sealed}, func() error {
			k, err := db.openKey(desk, id, row, sealed)
			if err == nil && k.Fingerprint == normal(fingerprint) {
				found = append(found, row)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read the keys of distributor %s: %w", id, err)
		}
		if len(found) == 0 {
			return fmt.Errorf("key %s: %w", normal(fingerprint), disclosure.ErrNotFound)
		}
		if _, err := t.Exec(ctx, `UPDATE distributor_key SET removed = $2 WHERE id = ANY($1)`, found, t.now); err != nil {
			return fmt.Errorf("remove a key: %w", err)
		}
		return t.saveDistributor(ctx, desk, d, "")
	})
}

// Revoke takes a distributor off the list. It returns once no mail that could
// be theirs is in flight, and nothing leaves to them afterwards.
func (db *DB) Revoke(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, why string) error {
	return db.changeDirectory(ctx, by, id, "revoked", func(t *tx, desk vault.Key) error {
		d, err := t.loadDistributor(ctx, desk, id)
		if err != nil {
			return err
		}
		if !d.Revoked.IsZero() {
			return disclosure.Refuse("", "This distributor was revoked already.")
		}
		d.Revoked = t.now
		return t.saveDistributor(ctx, desk, d, why)
	})
}
