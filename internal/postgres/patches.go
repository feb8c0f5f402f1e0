package postgres

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"postern/internal/disclosure"
)

// AddPatch stores a patch byte for byte, sealed as it streams, and adds it to
// the release. p carries Series, Name and, for one case's, Case; what the
// rules say about them is asked before the first byte is read. The patch that
// comes back has its file's id, size and SHA-256.
func (db *DB) AddPatch(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, p disclosure.Patch, src io.Reader) (disclosure.Patch, error) {
	if err := db.mayAddPatch(ctx, by, id, p); err != nil {
		return p, err
	}
	file, err := db.StoreFile(ctx, by, "", id, p.Name, "text/x-patch", src)
	if err != nil {
		return p, err
	}
	p.File = file
	err = db.UpdateRelease(ctx, by, id, func(r *disclosure.Release) error { return r.AddPatch(p, by, db.Now()) })
	if err != nil {
		// Bytes that belong to no patch are of no use to anybody.
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, _ = db.pool.Exec(clean, `DELETE FROM file WHERE id = $1 AND release = $2`, file.ID, id)
		return p, err
	}
	return p, nil
}

// mayAddPatch tries the rule on a copy that is thrown away.
func (db *DB) mayAddPatch(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, p disclosure.Patch) error {
	return db.read(ctx, by, func(t *tx) error {
		lr, err := t.loadRelease(ctx, id, forShow)
		if err != nil {
			return err
		}
		p.File = disclosure.File{Size: 1, SHA256: fmt.Sprintf("%064d", 0)}
		return lr.AddPatch(p, by, t.now)
	})
}

// patchWith reads a patch of the release by its SHA-256.
func (t *tx) patchWith(ctx context.Context, lr *loadedRelease, sha256 string) ([]byte, error) {
	i := slices.IndexFunc(lr.Patches, func(p disclosure.Patch) bool { return p.File.SHA256 == sha256 })
	if i < 0 {
		return nil, fmt.Errorf("patch with SHA-256 %s: %w", sha256, disclosure.ErrNotFound)
	}
	t.keys[string(lr.ID)] = lr.key
	var buf bytes.Buffer
	if err := t.readFile(ctx, string(lr.ID), lr.Patches[i].File.ID, &buf); err != nil {
		return nil, fmt.Errorf("read patch %s: %w", lr.Patches[i].Name, err)
	}
	return buf.Bytes(), nil
}

// Patch returns a patch and its bytes as they were uploaded.
func (db *DB) Patch(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, file disclosure.FileID) (disclosure.Patch, []byte, error) {
	r, err := db.Release(ctx, by, id)
	if err != nil {
		return disclosure.Patch{}, nil, err
	}
	i := slices.IndexFunc(r.Patches, func(p disclosure.Patch) bool { return p.File.ID == file })
	if i < 0 {
		return disclosure.Patch{}, nil, fmt.Errorf("patch %s: %w", file, disclosure.ErrNotFound)
	}
	var buf bytes.Buffer
	err = db.OpenFile(ctx, by, file, func(disclosure.File) (io.Writer, error) { return &buf, nil })
	if err != nil {
		return disclosure.Patch{}, nil, err
	}
	return r.Patches[i], buf.Bytes(), nil
}
