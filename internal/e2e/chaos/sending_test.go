package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/mail"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
	"postern/internal/smtp"
)

const distributors = 250

// sending is a world with a notice to many distributors that may be sent.
type sending struct {
	*postgrestest.World
	release disclosure.ReleaseID
	notice  disclosure.NoticeID
}

func newSending(t *testing.T) *sending {
	t.Helper()
	pgtest.Cluster(t)
	s := &sending{World: settled(t, postgrestest.New(t))}
	ctx := t.Context()
	var keys []disclosure.RecipientKey
	for i := range 3 { // distributors of one test may share keys; nobody looks
		key, _, err := pgp.NewTeam(fmt.Sprintf("Distribution %d", i), "security@d.example", s.DB.Now().Add(-time.Hour))
		must(t, err)
		keys = append(keys, disclosure.RecipientKey{Fingerprint: key.Certificate().Fingerprint(), Certificate: key.Certificate().Binary()})
	}
	for i := range distributors {
		_, err := s.DB.Enroll(ctx, s.Ada, disclosure.Distributor{Name: fmt.Sprintf("Distribution %03d", i),
			Address: fmt.Sprintf("security@d%d.example", i), Keys: keys[i%3 : i%3+1]})
		must(t, err)
	}
	s.schedule(t)
	s.approve(t)
	return s
}

func (s *sending) schedule(t *testing.T) {
	t.Helper()
	ctx, db, by := t.Context(), s.DB, s.Ada
	c, _ := s.Case(t, "Overflow in the wick")
	must(t, db.UpdateCase(ctx, by, c, func(c *disclosure.Case) error {
		return first(
			c.Acknowledge(by, db.Now()), c.Accept(by, db.Now()),
			c.SetSeverity(disclosure.Severity{Level: "high"}, by, db.Now()),
			c.SetAffected([]disclosure.Affected{{Series: "4.2", Effect: disclosure.Affects}}, by, db.Now()),
			c.SetPublic(disclosure.Text{Title: "Lantern overflows", Description: "It does.", Remedy: "Upgrade."}, by, db.Now()))
	}))
	var err error
	s.release, err = db.CreateRelease(ctx, by, "July", []disclosure.CaseID{c})
	must(t, err)
	must(t, db.UpdateRelease(ctx, by, s.release, func(r *disclosure.Release) error {
		err := first(
			r.Plan(db.Now().Add(7*24*time.Hour), "UTC", "", by, db.Now()),
			r.SetVersion("4.2", "4.2.10", by, db.Now()), r.SetNoPatch("4.2", "upgrade instead", by, db.Now()),
			r.DraftNotices(by, db.Now()))
		for _, n := range r.Notices {
			err = first(err, r.EditNotice(n.ID, "Lantern security release", strings.Repeat("There will be one. ", 200)+r.Essentials(n.Audience), by, db.Now()))
		}
		return err
	}))
}

func (s *sending) approve(t *testing.T) {
	t.Helper()
	ctx, db, by := t.Context(), s.DB, s.Ada
	r, err := db.Release(ctx, by, s.release)
	must(t, err)
	for _, n := range r.Notices {
		if n.Audience == disclosure.ToDistributors {
			s.notice = n.ID
		}
	}
	must(t, db.FreezeNotice(ctx, by, s.notice, func(w postgres.NoticeWork) ([]byte, []disclosure.Fault, error) {
		machine, err := letters.NoticeJSON(w.Release.Brief(disclosure.ToDistributors))
		if err != nil {
			return nil, nil, err
		}
		frozen, err := mail.Freeze(mail.FrozenMessage{From: "Lantern security <security@lantern.example>",
			Subject: w.Notice.Subject, Text: w.Notice.Text, Notice: machine})
		return frozen, nil, err
	}))
	list, err := db.Recipients(ctx, by, s.notice)
	must(t, err)
	r, err = db.Release(ctx, by, s.release)
	must(t, err)
	must(t, db.ApproveNotice(ctx, by, s.notice, r.Notice(s.notice).Digest, postgres.ListDigest(list)))
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sending) begin(t *testing.T) {
	t.Helper()
	must(t, s.DB.StartSending(t.Context(), s.SteppedUp(s.Ada), s.notice, nil))
}

// open lists the deliveries whose attempt is in the journal without an outcome.
func (s *sending) open(t *testing.T) map[disclosure.DeliveryID]bool {
	t.Helper()
	rows, err := s.DB.Pool().Query(t.Context(), `SELECT delivery FROM delivery_attempt WHERE ended IS NULL`)
	must(t, err)
	defer rows.Close()
	open := map[disclosure.DeliveryID]bool{}
	for rows.Next() {
		var id disclosure.DeliveryID
		must(t, rows.Scan(&id))
		open[id] = true
	}
	must(t, rows.Err())
	return open
}

func (s *sending) tally(t *testing.T) map[disclosure.DeliveryState]int {
	t.Helper()
	rows, err := s.DB.Pool().Query(context.Background(), `SELECT state, count(*) FROM delivery WHERE notice = $1 GROUP BY state`, s.notice)
	must(t, err)
	defer rows.Close()
	tally := map[disclosure.DeliveryState]int{}
	for rows.Next() {
		var state disclosure.DeliveryState
		var n int
		must(t, rows.Scan(&state, &n))
		tally[state] = n
	}
	must(t, rows.Err())
	return tally
}

// taken are the mails to distributors that the sink has.
func taken(sink *smtp.Sink) []smtp.SinkMessage {
	var list []smtp.SinkMessage
	for _, m := range sink.Messages() {
		if len(m.To) == 1 && strings.HasPrefix(m.To[0], "security@d") {
			list = append(list, m)
		}
	}
	return list
}

func newSink(t *testing.T, c smtp.SinkConfig) *smtp.Sink {
	t.Helper()
	sink, err := smtp.NewSink(c)
	must(t, err)
	t.Cleanup(func() { sink.Close() })
	return sink
}

// TestKilledWhileSending kills the program again and again while it sends one
// notice, and starts it again.
func TestKilledWhileSending(t *testing.T) {
	s := newSending(t)
	sink := newSink(t, smtp.SinkConfig{DotLatency: 20 * time.Millisecond})
	const workers = 8
	at := newPlace(t, s.World, "POSTERN_SMTP_URL=smtp+insecure://"+sink.Addr(), fmt.Sprintf("POSTERN_WORKERS=%d", workers))
	p := at.start(t)
	s.begin(t)
	kills := []int{25, 90, 160}
	if soak {
		kills = []int{1, 10, 25, 40, 60, 80, 100, 120, 140, 160, 180, 200, 220}
	}
	lost := map[disclosure.DeliveryID]bool{} // their outcome is nowhere
	for _, n := range kills {
		eventually(t, 30*time.Second, fmt.Sprintf("the sink has %d mails: %s", n, p.words()), func() bool { return len(taken(sink)) >= n })
		p.kill()
		quiet(t, s.World)
		open := s.open(t)
		fresh := 0
		for id := range open {
			if !lost[id] {
				fresh++
			}
		}
		if fresh > workers {
			t.Errorf("after the kill at %d mails, %d attempts are without an outcome, want at most one for each of %d connections", n, fresh, workers)
		}
		lost = union(lost, open)
		p = at.start(t)
	}
	if len(lost) == 0 {
		t.Error("no kill came in the middle of a mail: the test has tested nothing")
	}
	eventually(t, 60*time.Second, "everything else is sent", func() bool {
		tally := s.tally(t)
		return tally[disclosure.Queued]+tally[disclosure.Deferred] == 0 && tally[disclosure.Sending]+tally[disclosure.Uncertain] <= len(lost)
	})
	s.sweep(t, len(lost))
	p.alive(t)
	s.compare(t, sink, lost)
	if check, err := s.DB.VerifyLog(t.Context()); err != nil || check.Broken != 0 {
		t.Errorf("VerifyLog = %+v, %v, want an unbroken chain", check, err)
	}
}

func union[K comparable](a, b map[K]bool) map[K]bool {
	for k := range b {
		a[k] = true
	}
	return a
}

// sweep lets the deadlines of vanished workers pass: by waiting in a soak, else
// by a second process whose wall time is ahead.
func (s *sending) sweep(t *testing.T, want int) {
	t.Helper()
	if !soak {
		s.AdvanceWall(time.Minute)
		if _, err := s.DB.SweepDeliveries(t.Context()); err != nil {
			t.Fatalf("SweepDeliveries: %v", err)
		}
	}
	eventually(t, 45*time.Second, fmt.Sprintf("%d deliveries are uncertain", want), func() bool {
		tally := s.tally(t)
		return tally[disclosure.Sending] == 0 && tally[disclosure.Uncertain] >= want
	})
}

// compare holds the ledger against what the server took.
func (s *sending) compare(t *testing.T, sink *smtp.Sink, lost map[disclosure.DeliveryID]bool) {
	t.Helper()
	ledger, err := s.DB.Ledger(t.Context(), s.Ada, s.notice)
	must(t, err)
	byAddress := map[string]disclosure.Delivery{}
	uncertain := map[disclosure.DeliveryID]bool{}
	for _, d := range ledger {
		byAddress[d.Recipient.Address] = d
		switch d.State {
		case disclosure.Uncertain:
			uncertain[d.ID] = true
		case disclosure.Delivered:
		default:
			t.Errorf("the delivery to %s is %s, want sent or uncertain", d.Recipient.Address, d.State)
		}
	}
	if len(ledger) != distributors {
		t.Errorf("the ledger has %d deliveries, want %d", len(ledger), distributors)
	}
	if diff := cmp.Diff(lost, uncertain); diff != "" {
		t.Errorf("uncertain are others than those with an attempt and no outcome (-journal +ledger):\n%s", diff)
	}
	got, ids := map[string]int{}, map[string]int{}
	for _, m := range taken(sink) {
		to, id := m.To[0], strings.Trim(mail.ReadHeader(m.Data).MessageID, "<>")
		got[to]++
		ids[id]++
		if got[to] > 1 || ids[id] > 1 {
			t.Errorf("the mail %s to %s was sent %d times", id, to, got[to])
		}
		if d, ok := byAddress[to]; !ok || d.MessageID != id {
			t.Errorf("the sink has the mail %s to %s, the ledger has %q there", id, to, d.MessageID)
		}
	}
	for to, d := range byAddress {
		if d.State == disclosure.Delivered && got[to] == 0 {
			t.Errorf("the ledger calls the mail to %s sent, and the server never had it", to)
		}
	}
	t.Logf("%d mails, %d attempts lost, of which the server has %d", len(ids), len(lost), len(ids)-(distributors-len(lost)))
}

// TestPostponedWhileSending moves the date while 32 connections are sending.
func TestPostponedWhileSending(t *testing.T) {
	s := newSending(t)
	sink := newSink(t, smtp.SinkConfig{Latency: 50 * time.Millisecond, DotLatency: 50 * time.Millisecond}) // each reply
	at := newPlace(t, s.World, "POSTERN_SMTP_URL=smtp+insecure://"+sink.Addr(), "POSTERN_WORKERS=32")
	p := at.start(t)
	s.begin(t)
	eventually(t, 30*time.Second, "32 connections are sending: "+p.words(), func() bool {
		return len(taken(sink)) >= 32 && sink.Connections() >= 32
	})
	began := time.Now()
	err := s.DB.UpdateRelease(t.Context(), s.Rel, s.release, func(r *disclosure.Release) error {
		return r.Plan(s.DB.Now().Add(14*24*time.Hour), "UTC", "A second hole was found.", s.Rel, s.DB.Now())
	})
	took := time.Since(began)
	left := len(taken(sink))
	must(t, err)
	if took > 2*time.Second {
		t.Errorf("Plan while 32 connections were sending took %s, want at most 2 s", took)
	}
	if left == distributors {
		t.Error("everything had left before the date was moved: the test has tested nothing")
	}
	// Two sweeps of work, and more.
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if n := len(taken(sink)); n != left {
			t.Fatalf("%d mails left after Plan had returned", n-left)
		}
	}
	p.alive(t)
	tally := s.tally(t)
	if tally[disclosure.Delivered] != left || tally[disclosure.Canceled] != distributors-left {
		t.Errorf("the ledger has %v, the sink %d mails; want as many sent, and the rest canceled", tally, left)
	}
	t.Logf("answered in %s, with %d of %d sent", took.Round(time.Millisecond), left, distributors)
}
