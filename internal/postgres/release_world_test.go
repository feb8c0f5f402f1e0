package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/vault"
)

// world is a database of its own with an instance, a policy and members.
type world struct {
	*DB
	t               *testing.T
	owner, desk     string // URLs
	gate            string
	ahead           atomic.Int64 // of wall time, nanoseconds
	rel, tri, admin disclosure.Caller
}

const testPolicy = `{"ID": "lantern-1", "Project": {"Name": "Lantern", "Prefix": "LANTERN", "URL": "https://lantern.example"},
	"Contact": {"Address": "security@lantern.example"}, "Announce": {"Address": "announce@lantern.example", "Ahead": true},
	"Distributors": {"Tell": true, "Encrypt": "if_key"}, "Publish": {"Zone": "UTC", "Members": 1},
	"Reporter": {"ClearMail": "safe"}, "Severity": {"Scheme": "none"}}`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	w.owner, w.desk, w.gate = pgtest.Clone(t, "releases", func(owner string) error {
		_, err := Migrate(context.Background(), owner)
		return err
	})
	ctx := t.Context()
	db, err := Open(ctx, Config{URL: w.desk, Wall: w.wall, Worker: "one", Pool: 10, Site: "https://gate.example"})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(db.Close)
	w.DB = db
	db.SetPolicyParser(func(b []byte) (*disclosure.Policy, error) {
		var p disclosure.Policy
		return &p, json.Unmarshal(b, &p)
	})
	id := vault.NewInstanceID()
	made, err := vault.Setup(id, "ada", "correct horse battery", db.Wall(), vault.TestCost)
	if err != nil {
		t.Fatalf("vault.Setup: %v", err)
	}
	w.must(db.Setup(ctx, disclosure.System("init"), NewInstance{ID: id, Record: made.Record, Slots: made.Slots, Vault: made.Vault, Demo: true}))
	for _, m := range []struct {
		name  string
		roles disclosure.Roles
		to    *disclosure.Caller
	}{{"Rel", disclosure.Releaser | disclosure.Triager, &w.rel}, {"Tri", disclosure.Triager, &w.tri}, {"Ada", disclosure.Admin, &w.admin}} {
		*m.to = disclosure.Caller{Member: disclosure.MemberID(disclosure.NewID()), Name: m.name, Roles: m.roles, Verified: db.Wall()}
		_, err := db.pool.Exec(ctx, `INSERT INTO member (id, login, name, roles, address, alerts, created) VALUES ($1, $2, $3, $4, $2, '{delivery}', $5)`,
			m.to.Member, strings.ToLower(m.name)+"@lantern.example", m.name, m.roles.Names(), db.Wall())
		w.must(err)
	}
	_, err = db.ApplyPolicy(ctx, w.admin, []byte(testPolicy))
	w.must(err)
	return w
}

func (w *world) wall() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open(name string) *DB {
	w.t.Helper()
	db, err := Open(w.t.Context(), Config{URL: w.desk, Wall: w.wall, Worker: name})
	w.must(err)
	db.SetPolicyParser(w.policies.parse)
	db.vault.Store(w.vault.Load())
	return db
}

func print(i int) string { return fmt.Sprintf("%040X", i) }

// enroll puts n distributors with a key each on the list.
func (w *world) enroll(n int) []disclosure.DistributorID {
	w.t.Helper()
	ids := make([]disclosure.DistributorID, n)
	for i := range ids {
		id, err := w.Enroll(w.t.Context(), w.admin, disclosure.Distributor{Name: fmt.Sprintf("Distribution %03d", i),
			Address: fmt.Sprintf("security@d%d.example", i), Keys: []disclosure.RecipientKey{{Fingerprint: print(i), Certificate: []byte("certificate")}}})
		w.must(err)
		ids[i] = id
	}
	return ids
}

// accepted makes a case that could be published.
func (w *world) accepted() disclosure.CaseID {
	w.t.Helper()
	ctx := w.t.Context()
	id, _, err := w.CreateCase(ctx, w.tri, CaseDraft{Title: "Overflow", Name: "Finn", Address: "finn@example.org"})
	w.must(err)
	w.must(w.UpdateCase(ctx, w.tri, id, func(c *disclosure.Case) error {
		for _, err := range []error{
			c.Acknowledge(w.tri, w.Now()), c.Accept(w.tri, w.Now()),
			c.SetAffected([]disclosure.Affected{{Series: "4.2", Effect: disclosure.Affects}}, w.tri, w.Now()),
			c.SetPublic(disclosure.Text{Title: "Lantern overflows", Description: "It does.", Remedy: "Upgrade."}, w.tri, w.Now()),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return id
}

// scheduled makes a release with one case, a date and drafted notices.
func (w *world) scheduled() disclosure.ReleaseID {
	w.t.Helper()
	ctx := w.t.Context()
	id, err := w.CreateRelease(ctx, w.rel, "July", []disclosure.CaseID{w.accepted()})
	w.must(err)
	w.must(w.UpdateRelease(ctx, w.rel, id, func(r *disclosure.Release) error {
		for _, f := range []func() error{
			func() error { return r.Plan(w.Now().Add(7*24*time.Hour), "UTC", "", w.rel, w.Now()) },
			func() error { return r.SetVersion("4.2", "4.2.10", w.rel, w.Now()) },
			func() error { return r.SetNoPatch("4.2", "upgrade instead", w.rel, w.Now()) },
			func() error { return r.DraftNotices(w.rel, w.Now()) },
		} {
			if err := f(); err != nil {
				return err
			}
		}
		for _, n := range r.Notices {
			text := "There will be one on " + r.At.Format("2006-01-02") + ": 4.2.10."
			if err := r.EditNotice(n.ID, "Lantern release", text, w.rel, w.Now()); err != nil {
				return err
			}
		}
		return nil
	}))
	return id
}

func (w *world) notice(r disclosure.ReleaseID, a disclosure.Audience) *disclosure.Notice {
	w.t.Helper()
	release, err := w.Release(w.t.Context(), w.rel, r)
	w.must(err)
	for _, n := range release.Notices {
		if n.Audience == a && n.State != disclosure.NoticeCanceled {
			return n
		}
	}
	w.t.Fatalf("release %s has no notice to %s", r, a)
	return nil
}

func freezeAs(text string) func(NoticeWork) ([]byte, []disclosure.Fault, error) {
	return func(NoticeWork) ([]byte, []disclosure.Fault, error) { return []byte(text), nil, nil }
}

// approve freezes and approves a notice as it stands.
func (w *world) approve(id disclosure.NoticeID) {
	w.t.Helper()
	ctx := w.t.Context()
	w.must(w.FreezeNotice(ctx, w.rel, id, freezeAs("the signed bytes")))
	w.approveAgain(id)
}

func (w *world) approveAgain(id disclosure.NoticeID) {
	w.t.Helper()
	ctx := w.t.Context()
	list, err := w.Recipients(ctx, w.rel, id)
	w.must(err)
	release, err := w.releaseOf(ctx, id)
	w.must(err)
	r, err := w.Release(ctx, w.rel, release)
	w.must(err)
	w.must(w.ApproveNotice(ctx, w.rel, id, r.Notice(id).Digest, ListDigest(list)))
}

// start brings the distributors' notice of a release to sending.
func (w *world) start(r disclosure.ReleaseID) disclosure.NoticeID {
	w.t.Helper()
	id := w.notice(r, disclosure.ToDistributors).ID
	w.approve(id)
	w.must(w.StartSending(w.t.Context(), w.rel, id, nil))
	return id
}

func accept(_ context.Context, o disclosure.Outgoing) disclosure.Outcome {
	if err := o.Confirm(); err != nil {
		return disclosure.Outcome{State: disclosure.Canceled, Text: err.Error()}
	}
	return disclosure.Outcome{State: disclosure.Delivered, Text: "250 queued", Digest: "d"}
}

// tally counts a notice's deliveries by state.
func (w *world) tally(id disclosure.NoticeID) map[disclosure.DeliveryState]int {
	w.t.Helper()
	list, err := w.Ledger(context.Background(), w.rel, id)
	w.must(err)
	m := map[disclosure.DeliveryState]int{}
	for _, d := range list {
		m[d.State]++
	}
	return m
}
