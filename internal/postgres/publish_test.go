package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
)

func (w *world) send(id disclosure.NoticeID) {
	w.t.Helper()
	left, err := w.Deliver(w.t.Context(), id, w.Now, accept)
	w.must(err)
	if left != 0 {
		w.t.Fatalf("Deliver left %d", left)
	}
}

func page(path, text string) disclosure.Document {
	return disclosure.Document{Path: path, Type: "text/html", Bytes: []byte(text), Rendered: "1"}
}

func TestPublish(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.enroll(2)
	release := w.scheduled()
	w.must(w.PublishSite(ctx, w.admin, func(e disclosure.Edition) ([]disclosure.Document, error) {
		if len(e.Advisories) != 0 || len(e.Upcoming) != 0 || e.URL != "https://gate.example" {
			t.Errorf("first edition = %+v; want nothing public", e)
		}
		return []disclosure.Document{page("/", "front"), page("/old", "old")}, nil
	}))
	ahead := w.notice(release, disclosure.ToAnnounceAhead).ID
	w.approve(ahead)
	w.must(w.StartSending(ctx, w.rel, ahead, nil))
	w.send(ahead)
	if due, err := w.DocumentsDue(ctx, "1"); err != nil || !due {
		t.Errorf("DocumentsDue after a pre-announcement = %v, %v; want true", due, err)
	}
	w.must(w.PublishSite(ctx, w.admin, func(e disclosure.Edition) ([]disclosure.Document, error) {
		if len(e.Upcoming) != 1 || !strings.HasPrefix(e.Upcoming[0].Text, "There will be one on ") {
			t.Errorf("Upcoming = %+v; want the text that was sent", e.Upcoming)
		}
		return []disclosure.Document{page("/", "front")}, nil
	}))
	docs, err := w.Documents(ctx)
	w.must(err)
	if len(docs) != 1 {
		t.Errorf("documents = %v; want / alone: what is not rendered is gone", docs)
	}
	w.send(w.start(release))
	announce := w.notice(release, disclosure.ToAnnounce).ID
	w.approve(announce)

	w.ahead.Add(int64(7 * 24 * time.Hour))
	w.rel.Verified = w.Wall()
	change := func(r *disclosure.Release) error { return r.Publish("July", w.rel, w.Now(), w.Wall()) }
	wrong := errors.New("rendering failed")
	err = w.Publish(ctx, w.rel, release, change, func(disclosure.Edition) ([]disclosure.Document, error) { return nil, wrong })
	if !errors.Is(err, wrong) {
		t.Fatalf("Publish = %v; want %v", err, wrong)
	}
	r, err := w.Release(ctx, w.rel, release)
	w.must(err)
	if r.State != disclosure.Notified {
		t.Errorf("release after a failed rendering = %s; want notified", r.State)
	}
	if err := w.UpdateRelease(ctx, w.rel, release, change); err == nil {
		t.Error("UpdateRelease made a release disclosed; only Publish may")
	}
	w.must(w.Hold(ctx, w.admin, "test"))
	render := func(e disclosure.Edition) ([]disclosure.Document, error) {
		return []disclosure.Document{page("/", "front"), page("/advisories/"+e.Publishing[0].Name, strings.Repeat("text ", 200))}, nil
	}
	if err := w.Publish(ctx, w.rel, release, change, render); !errors.Is(err, disclosure.ErrHeld) {
		t.Errorf("Publish while held = %v; want ErrHeld", err)
	}
	if _, err := w.pool.Exec(ctx, `UPDATE instance SET held_since = NULL, held_because = '{}'`); err != nil {
		t.Fatal(err)
	}
	w.must(w.Publish(ctx, w.rel, release, change, render))
	r, err = w.Release(ctx, w.rel, release)
	w.must(err)
	if r.State != disclosure.Published || r.Cases[0].State != disclosure.Disclosed {
		t.Errorf("release = %s, case = %s; want both disclosed", r.State, r.Cases[0].State)
	}
	list, err := w.Advisories(ctx)
	w.must(err)
	if len(list) != 1 || list[0].Issue.Text.Title != "Lantern overflows" {
		t.Errorf("advisories = %+v; want the one", list)
	}
	var compressed, plain int
	w.must(w.pool.QueryRow(ctx, `SELECT length(gzip), length(bytes) FROM document WHERE path LIKE '/advisories/%'`).Scan(&compressed, &plain))
	if compressed >= plain {
		t.Errorf("gzip has %d bytes of %d", compressed, plain)
	}
	w.send(announce)
	if n := w.notice(release, disclosure.ToAnnounce); n.State != disclosure.NoticeSent {
		t.Errorf("announcement = %s; want sent", n.State)
	}
}

// An approval holds for one text, list, notice and generation, and was made
// here. Whoever may write to every table, but holds no key, cannot move it.
func TestApprovalsCannotBeMoved(t *testing.T) {
	for name, swap := range map[string]string{
		"bodies of two notices": `UPDATE notice a SET body = b.body FROM notice b WHERE a.id = $1 AND b.id <> a.id AND b.audience = 'announcement'`,
		"frozen bytes":          `UPDATE notice a SET frozen = b.frozen FROM notice b WHERE a.id = $1 AND b.id <> a.id AND b.frozen IS NOT NULL`,
		"two deliveries":        `UPDATE delivery a SET sealed = b.sealed FROM delivery b WHERE a.id <> b.id AND a.notice = $1`,
		"two recipients": `UPDATE delivery SET distributor = CASE WHEN distributor = (SELECT min(distributor) FROM delivery) THEN NULL END
			WHERE notice = $1`,
		"the directory":        `UPDATE distributor a SET sealed = b.sealed FROM distributor b WHERE a.id <> b.id AND $1 <> ''`,
		"keys of distributors": `UPDATE distributor_key a SET sealed = b.sealed FROM distributor_key b WHERE a.id <> b.id AND $1 <> ''`,
		"owner of keys":        `UPDATE distributor_key a SET distributor = b.distributor FROM distributor_key b WHERE a.id <> b.id AND $1 <> ''`,
		"generation":           `UPDATE notice SET generation = generation + 1 WHERE id = $1`,
		"audience":             `UPDATE notice SET audience = 'announcement' WHERE id = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.enroll(2)
			release := w.scheduled()
			w.must(w.FreezeNotice(t.Context(), w.rel, w.notice(release, disclosure.ToAnnounce).ID, freezeAs("other bytes")))
			id := w.start(release)
			tag, err := w.pool.Exec(t.Context(), swap, id)
			w.must(err)
			if tag.RowsAffected() == 0 {
				t.Fatal("nothing was swapped")
			}
			for range 3 { // one that cannot be opened must not keep the others from being judged
				_, _ = w.Deliver(t.Context(), id, w.Now, func(context.Context, disclosure.Outgoing) disclosure.Outcome {
					t.Error("a mail was handed over")
					return disclosure.Outcome{State: disclosure.Delivered}
				})
			}
		})
	}
}

func TestApprovalIsOfWhatWasSeen(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.enroll(2)
	release := w.scheduled()
	id := w.notice(release, disclosure.ToDistributors).ID
	w.must(w.FreezeNotice(ctx, w.rel, id, freezeAs("bytes")))
	digest := w.notice(release, disclosure.ToDistributors).Digest
	list, err := w.Recipients(ctx, w.rel, id)
	w.must(err)
	seen := ListDigest(list)
	if err := w.ApproveNotice(ctx, w.rel, id, "other", seen); !errors.Is(err, disclosure.ErrStale) {
		t.Errorf("ApproveNotice of other bytes = %v; want ErrStale", err)
	}
	w.enroll(1)
	if err := w.ApproveNotice(ctx, w.rel, id, digest, seen); !errors.Is(err, disclosure.ErrStale) {
		t.Errorf("ApproveNotice of an older list = %v; want ErrStale", err)
	}
	w.approveAgain(id)
	w.enroll(1)
	if n := w.notice(release, disclosure.ToDistributors); n.State != disclosure.NoticeFrozen || len(n.Approvals) != 0 {
		t.Errorf("after one more was enrolled the notice is %s with %d approvals; want frozen with none", n.State, len(n.Approvals))
	}
	if err := w.ApproveNotice(ctx, w.tri, id, digest, seen); !errors.Is(err, disclosure.ErrForbidden) {
		t.Errorf("ApproveNotice by a triager = %v; want ErrForbidden", err)
	}
}

// Who enrolled with a key never gets clear text.
func TestNoClearTextAfterAKey(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.enroll(1)[0]
	w.must(w.EditDistributor(ctx, w.admin, id, 1, func(d *disclosure.Distributor) error { d.ClearOK = "somebody"; return nil }))
	w.must(w.RemoveKey(ctx, w.admin, id, print(0)))
	notice := w.notice(w.scheduled(), disclosure.ToDistributors).ID
	list, err := w.Recipients(ctx, w.rel, notice)
	w.must(err)
	if len(list) != 1 || list[0].ClearText || len(list[0].Keys) != 0 {
		t.Errorf("recipients = %+v; want one without keys and without clear text", list)
	}
	d, err := w.Distributor(ctx, w.admin, id)
	w.must(err)
	if d.ClearOK != "Ada" {
		t.Errorf("ClearOK = %q; want the name of who accepted it", d.ClearOK)
	}
}

func TestPatch(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	release := w.scheduled()
	bytes := "From 1\r\n\x00\xff \n" + strings.Repeat("+line\n", 30000)
	if _, err := w.AddPatch(ctx, w.rel, release, disclosure.Patch{Series: "4.2", Name: "../x"}, strings.NewReader(bytes)); err == nil {
		t.Error("AddPatch with a path for a name was allowed")
	}
	p, err := w.AddPatch(ctx, w.rel, release, disclosure.Patch{Series: "4.2", Name: "0001-fix.patch"}, strings.NewReader(bytes))
	w.must(err)
	_, got, err := w.Patch(ctx, w.rel, release, p.File.ID)
	w.must(err)
	if string(got) != bytes || p.File.Size != int64(len(bytes)) {
		t.Errorf("Patch = %d bytes, size %d; want the %d uploaded, byte for byte", len(got), p.File.Size, len(bytes))
	}
	if list, err := w.Releases(ctx, w.tri); err != nil || len(list) != 1 || list[0].Title != "July" || list[0].Cases != 1 {
		t.Errorf("Releases = %+v, %v; want July with one case", list, err)
	}
}
