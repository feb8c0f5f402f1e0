package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// Files are sealed as blobs under the key of their case or release: chunk by
// chunk in both directions, so that a file is never whole in memory.

// StoreFile seals what r gives into a case (the release id empty) or a release
// (the case id empty). Label is cleaned for show; mediaType is kept as claimed
// and never used to serve the file.
func (db *DB) StoreFile(ctx context.Context, by disclosure.Caller, c disclosure.CaseID, r disclosure.ReleaseID, label, mediaType string, body io.Reader) (f disclosure.File, err error) {
	if !by.Can(disclosure.Triager) && !by.Can(disclosure.Releaser) {
		return f, disclosure.ErrForbidden
	}
	// However slowly the bytes come, no connection waits for them.
	spool := vault.NewSpool(db.spool)
	defer spool.Close()
	if _, err := io.Copy(spool, body); err != nil {
		return f, spoolError(err)
	}
	if body, err = spool.Reader(); err != nil {
		return f, spoolError(err)
	}
	// The bytes come from a reader, which cannot be read twice: one try.
	err = unavailable(db.once(ctx, by, func(t *tx) error {
		if c == "" {
			if err := t.openReleaseKey(ctx, r); err != nil {
				return err
			}
			f, err = t.storeFile(ctx, owner{Release: r}, label, mediaType, "", body)
			return err
		}
		// The case is locked only once the bytes are in the database.
		if _, err := t.visibleCase(ctx, c, false); err != nil {
			return err
		}
		if f, err = t.storeFile(ctx, owner{Case: c}, label, mediaType, "", body); err != nil {
			return err
		}
		k, err := t.lockCase(ctx, c)
		if err != nil {
			return err
		}
		if err := k.AddFile(f, by, t.now); err != nil {
			return err
		}
		t.note("file.stored", string(f.ID), nil)
		return t.saveCase(ctx, k)
	}))
	if errors.Is(err, errMoved) {
		err = disclosure.ErrStale
	}
	return f, err
}

// spoolError: to whoever sent the bytes, a disk without room is the same as a
// database that does not answer.
func spoolError(err error) error {
	if errors.Is(err, vault.ErrSpool) {
		return fmt.Errorf("store a file: %w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("read a file: %w", err)
}

// openReleaseKey puts a release's key into t.keys.
func (t *tx) openReleaseKey(ctx context.Context, r disclosure.ReleaseID) error {
	var wrapped []byte
	var version int
	err := t.QueryRow(ctx, `SELECT wrapped_key, key_version FROM release WHERE id = $1`, r).Scan(&wrapped, &version)
	if err != nil {
		return fmt.Errorf("read the key of release %s: %w", r, notFound(err))
	}
	t.keys[string(r)], err = t.db.openOwnerKey("release", string(r), wrapped, version)
	return err
}

// owner is what a message, a file or a line of history belongs to; one field is set.
type owner struct {
	Case        disclosure.CaseID
	Release     disclosure.ReleaseID
	Application disclosure.ApplicationID
}

func (o owner) id() string { return string(o.Case) + string(o.Release) + string(o.Application) }

// fileChunks is how many sealed chunks of 64 KiB travel to the server at once.
const fileChunks = 16

// storeFile seals a file under the key of its owner, which is in t.keys.
func (t *tx) storeFile(ctx context.Context, of owner, label, mediaType string, arrival disclosure.ArrivalID, body io.Reader) (disclosure.File, error) {
	f := disclosure.File{Label: disclosure.CleanLabel(label), Type: mediaType, Added: t.now, By: t.by.Name}
	return t.storeFileAs(ctx, of, f, arrival, func(w io.Writer) error {
		_, err := io.Copy(w, body)
		return err
	})
}

// storeFileAs is storeFile for what fill writes, under an id of its own.
func (t *tx) storeFileAs(ctx context.Context, of owner, f disclosure.File, arrival disclosure.ArrivalID, fill func(io.Writer) error) (disclosure.File, error) {
	owner := of.id()
	key, ok := t.keys[owner]
	if !ok {
		return disclosure.File{}, errors.New("store a file: the key of its owner was not opened")
	}
	f.ID = disclosure.FileID(disclosure.NewID())
	// The row first: chunks refer to it. Size and digest are known after the last.
	_, err := t.Exec(ctx, `INSERT INTO file (id, case_id, release, application, arrival, added, sealed)
		VALUES ($1, nullif($2, ''), nullif($3, ''), nullif($4, ''), nullif($5, ''), $6, '')`, f.ID, of.Case, of.Release, of.Application, arrival, f.Added)
	if err != nil {
		return f, fmt.Errorf("store a file: %w", err)
	}
	batch := &pgx.Batch{}
	flush := func() error {
		b := batch
		batch = &pgx.Batch{}
		return t.SendBatch(ctx, b).Close()
	}
	blob := key.SealBlob(t.db.aad("file_chunk", "sealed", string(f.ID), owner, 1), func(n int, sealed []byte) error {
		batch.Queue(`INSERT INTO file_chunk (file, n, sealed) VALUES ($1, $2, $3)`, f.ID, n, sealed)
		if batch.Len() < fileChunks {
			return nil
		}
		return flush()
	})
	sum := sha256.New()
	n := counter{}
	if err := fill(io.MultiWriter(blob, sum, &n)); err != nil {
		return f, fmt.Errorf("store a file: %w", err)
	}
	f.Size = n.n
	if err := blob.Close(); err != nil {
		return f, fmt.Errorf("store a file: %w", err)
	}
	if err := flush(); err != nil {
		return f, fmt.Errorf("store a file: %w", err)
	}
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	sealed, err := sealJSON(key, t.db.aad("file", "sealed", string(f.ID), owner, 1), f)
	if err != nil {
		return f, err
	}
	if _, err := t.Exec(ctx, `UPDATE file SET sealed = $2 WHERE id = $1`, f.ID, sealed); err != nil {
		return f, fmt.Errorf("store a file: %w", err)
	}
	return f, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// readFile writes a file's bytes, chunk by chunk; its owner's key is in t.keys.
func (t *tx) readFile(ctx context.Context, owner string, id disclosure.FileID, w io.Writer) error {
	key, ok := t.keys[owner]
	if !ok {
		return errors.New("read a file: the key of its owner was not opened")
	}
	return t.db.readBlob(ctx, t, key, owner, id, w)
}

func (db *DB) readBlob(ctx context.Context, q queryer, key vault.Key, owner string, id disclosure.FileID, w io.Writer) error {
	r := key.OpenBlob(db.aad("file_chunk", "sealed", string(id), owner, 1), func(n int) ([]byte, error) {
		var sealed []byte
		err := q.QueryRow(ctx, `SELECT sealed FROM file_chunk WHERE file = $1 AND n = $2`, id, n).Scan(&sealed)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, io.EOF
		}
		return sealed, unavailable(err)
	})
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("read file %s: %w", id, err)
	}
	return nil
}

// OpenFile streams a file: begin is told what it is and returns where to write.
// That it was read is logged, also when the reader went away halfway. A fault
// in the chunks is found where it stands: bytes before it may be written.
func (db *DB) OpenFile(ctx context.Context, by disclosure.Caller, id disclosure.FileID, begin func(disclosure.File) (io.Writer, error)) error {
	if !mayOpen(by) {
		return disclosure.ErrForbidden
	}
	var f disclosure.File
	var whose string
	var key vault.Key
	// First the permission and the log, committed; then the bytes, which never
	// change: however slowly they are fetched, no connection waits for them.
	err := db.transact(ctx, by, func(t *tx) error {
		var of owner
		var sealed []byte
		err := t.QueryRow(ctx, `SELECT coalesce(case_id, ''), coalesce(release, ''), coalesce(application, ''), sealed FROM file WHERE id = $1`, id).
			Scan(&of.Case, &of.Release, &of.Application, &sealed)
		if err != nil {
			return fmt.Errorf("find file %s: %w", id, notFound(err))
		}
		switch {
		case of.Case != "":
			_, err = t.visibleCase(ctx, of.Case, false)
		case of.Application != "":
			_, err = t.loadApplication(ctx, of.Application, false)
		default:
			err = t.seesRelease(ctx, of.Release)
		}
		if err != nil {
			return err
		}
		whose = of.id()
		key = t.keys[whose]
		if err := openJSON(key, db.aad("file", "sealed", string(id), whose, 1), sealed, &f); err != nil {
			return err
		}
		return t.opened(ctx, "file.read", string(id))
	})
	if err != nil {
		return err
	}
	w, err := begin(f)
	if err != nil {
		return err
	}
	return db.readBlob(ctx, db.pool, key, whose, id, w)
}

// seesRelease opens a release's key for a caller who may see every case in it.
func (t *tx) seesRelease(ctx context.Context, r disclosure.ReleaseID) error {
	lr, err := t.loadRelease(ctx, r, forShow)
	if err != nil {
		return err
	}
	if !lr.VisibleTo(t.by) {
		return fmt.Errorf("open release %s: %w", r, disclosure.ErrNotFound)
	}
	return nil
}
