package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"postern/internal/disclosure"
)

// NoticeWork is what a step on a notice is given inside its transaction. It is
// for looking at: whoever changes it changes what is stored.
type NoticeWork struct {
	Release    *disclosure.Release
	Notice     *disclosure.Notice
	Recipients []disclosure.Recipient // as they stand now
	Patch      func(disclosure.FileID) ([]byte, error)
}

func (t *tx) noticeWork(ctx context.Context, lr *loadedRelease, id disclosure.NoticeID) (NoticeWork, error) {
	n := lr.Notice(id)
	if n == nil {
		return NoticeWork{}, fmt.Errorf("notice %s: %w", id, disclosure.ErrNotFound)
	}
	list, err := t.recipients(ctx, lr.Release, n.Audience)
	if err != nil {
		return NoticeWork{}, err
	}
	return NoticeWork{Release: lr.Release, Notice: n, Recipients: list, Patch: func(f disclosure.FileID) ([]byte, error) {
		// On this transaction's connection: whoever waits for it may hold the last one.
		var one int
		if err := t.QueryRow(ctx, `SELECT 1 FROM file WHERE id = $1 AND release = $2`, f, lr.ID).Scan(&one); err != nil {
			return nil, fmt.Errorf("find patch %s: %w", f, notFound(err))
		}
		t.keys[string(lr.ID)] = lr.key
		var buf bytes.Buffer
		if err := t.readFile(ctx, string(lr.ID), f, &buf); err != nil {
			return nil, err
		}
		return buf.Bytes(), t.opened(ctx, "file.read", string(f))
	}}, nil
}

func (db *DB) releaseOf(ctx context.Context, notice disclosure.NoticeID) (disclosure.ReleaseID, error) {
	var id disclosure.ReleaseID
	err := db.pool.QueryRow(ctx, `SELECT release FROM notice WHERE id = $1`, notice).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("notice %s: %w", notice, unavailable(notFound(err)))
	}
	return id, nil
}

// updateNotice locks the notice's release and lets f take a step on the notice.
func (db *DB) updateNotice(ctx context.Context, by disclosure.Caller, id disclosure.NoticeID, f func(*tx, *loadedRelease, NoticeWork) error) error {
	release, err := db.releaseOf(ctx, id)
	if err != nil {
		return err
	}
	return db.updateRelease(ctx, by, release, func(t *tx, lr *loadedRelease) error {
		if !by.Can(disclosure.Releaser) {
			return disclosure.ErrForbidden
		}
		w, err := t.noticeWork(ctx, lr, id)
		if err != nil {
			return err
		}
		return f(t, lr, w)
	})
}

// Recipients are the readers of a notice as they stand now, in order of name.
// Only who may send or keep the list reads them, and it is logged. Digest of
// them: ListDigest.
func (db *DB) Recipients(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID) ([]disclosure.Recipient, error) {
	if !by.Can(disclosure.Releaser) && !by.Can(disclosure.Admin) {
		return nil, disclosure.ErrForbidden
	}
	release, err := db.releaseOf(ctx, notice)
	if err != nil {
		return nil, err
	}
	var list []disclosure.Recipient
	err = db.transact(ctx, by, func(t *tx) error {
		lr, err := t.loadRelease(ctx, release, forShow)
		if err != nil {
			return err
		}
		if !lr.VisibleTo(by) {
			return fmt.Errorf("notice %s: %w", notice, disclosure.ErrNotFound)
		}
		w, err := t.noticeWork(ctx, lr, notice)
		if err != nil {
			return err
		}
		list = w.Recipients
		return t.opened(ctx, "directory.opened", string(notice))
	})
	return list, err
}

// FreezeNotice fixes the bytes that will be signed. freeze makes them from the
// notice as it is locked, and names each recipient's unusable key (Field
// "distributors/<id>"). It may run more than once.
func (db *DB) FreezeNotice(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, freeze func(NoticeWork) (frozen []byte, unusable []disclosure.Fault, err error)) error {
	return db.updateNotice(ctx, by, notice, func(t *tx, lr *loadedRelease, w NoticeWork) error {
		frozen, unusable, err := freeze(w)
		if err != nil {
			return err
		}
		return lr.Freeze(notice, frozen, disclosure.Facts{Recipients: w.Recipients, Unusable: unusable}, by, t.now)
	})
}

// SignNotice keeps a releaser's signature over the frozen bytes. check looks
// at it and returns the one packet to keep, or says why not.
func (db *DB) SignNotice(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, check func(NoticeWork) (packet []byte, err error)) error {
	return db.updateNotice(ctx, by, notice, func(t *tx, lr *loadedRelease, w NoticeWork) error {
		packet, err := check(w)
		if err != nil {
			return err
		}
		return lr.SignNotice(notice, packet, by, t.now)
	})
}

// ApproveNotice binds the caller's yes to what was seen: the digest of the
// frozen bytes and the digest of the list (ListDigest). disclosure.ErrStale
// when either is another now.
func (db *DB) ApproveNotice(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, digest, list string) error {
	return db.updateNotice(ctx, by, notice, func(t *tx, lr *loadedRelease, w NoticeWork) error {
		if w.Notice.Digest != digest || ListDigest(w.Recipients) != list {
			return disclosure.ErrStale
		}
		desk, err := db.deskKey()
		if err != nil {
			return err
		}
		// What the tag binds is what the release will note of the approval.
		tag := db.approvalTag(desk, w.Notice, disclosure.Approval{
			Member: by.Member, Name: by.Name, At: t.now, Generation: lr.Generation, Digest: digest, List: list})
		return lr.Approve(notice, list, tag, by, t.now)
	})
}

// StartSending queues one delivery for each recipient and opens the go-ahead.
// unusable names each recipient's unusable key, as for FreezeNotice; nil: none.
func (db *DB) StartSending(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID, unusable func(NoticeWork) []disclosure.Fault) error {
	return db.updateNotice(ctx, by, notice, func(t *tx, lr *loadedRelease, w NoticeWork) error {
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		facts := disclosure.Facts{Recipients: w.Recipients}
		if unusable != nil {
			facts.Unusable = unusable(w)
		}
		return lr.StartSending(notice, facts, by, t.now, db.Wall())
	})
}

// wasRefused tells a step that was not allowed from one that was given up
// waiting or lost its database. After the latter the go-ahead stays closed:
// somebody wanted the sending stopped, and nobody knows that it was not.
func wasRefused(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, errMustClose)
}

// Stopped reports whether a notice is being sent without a go-ahead: what it
// was closed for did not happen. Nothing leaves until ResumeSending, or until
// the step is taken again.
func (db *DB) Stopped(ctx context.Context, id disclosure.NoticeID) (stopped bool, err error) {
	err = db.pool.QueryRow(ctx, `SELECT n.state = 'sending' AND NOT g.open FROM notice n JOIN go_ahead g ON g.release = n.release WHERE n.id = $1`, id).Scan(&stopped)
	if err != nil {
		return false, fmt.Errorf("look at the go-ahead of notice %s: %w", id, unavailable(notFound(err)))
	}
	return stopped, nil
}

// ResumeSending opens the go-ahead again for a notice whose sending was
// stopped and never went on: whoever closed it ended, or gave up waiting,
// before what it was closed for.
func (db *DB) ResumeSending(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID) error {
	return db.updateNotice(ctx, by, notice, func(t *tx, lr *loadedRelease, w NoticeWork) error {
		if by.IsSystem() {
			return disclosure.ErrForbidden
		}
		if !by.SteppedUp(db.Wall()) {
			return disclosure.ErrStepUp
		}
		if w.Notice.State != disclosure.NoticeSending {
			return disclosure.Refuse("state", "This notice is not being sent.")
		}
		t.note("notice.resumed", string(notice), nil)
		return nil // saving sets the go-ahead
	})
}
